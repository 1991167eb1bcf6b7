"""Prints a token that the running stack accepts for 12 hours, and nothing else: ORG=acme ROLE=admin.

Runs inside a service's container (`make compose-token`), which has the secret, PyJWT and the names that
a token must carry.
"""

import os
import sys
import time

import jwt

ROLES = ("viewer", "editor", "admin")
SECONDS = 12 * 3600


def main() -> None:
    """Read the environment, write one line. Exit code 1 for a role that does not exist."""
    org, role = os.environ.get("ORG") or "acme", os.environ.get("ROLE") or "admin"
    if role not in ROLES:
        sys.exit(f"error: there is no role {role!r} (mend: use one of {', '.join(ROLES)})")
    now = int(time.time())
    claims = {
        "iss": os.environ["JWT_ISSUER"], "aud": os.environ["JWT_AUDIENCE"], "sub": f"compose-{role}",
        "org": org, "role": role, "iat": now, "exp": now + SECONDS,
    }  # fmt: skip
    sys.stdout.write(jwt.encode(claims, os.environ["JWT_SECRET"], algorithm="HS256") + "\n")


if __name__ == "__main__":
    main()
