"""The stack's own secrets: made once, kept in `secrets.env` (0600), the same after every `down` and `up`."""

import base64
import os
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import jwt

from devstack.errors import StackError

ALGORITHM = "HS256"
ISSUER = "campaigns-dev"
AUDIENCE = "campaigns-api"
TOKEN_SECONDS = 12 * 3600
ROLES = ("viewer", "editor", "admin")
NAMES = ("JWT_SECRET", "ENCRYPTION_KEYS", "INTERNAL_TOKEN", "TRACKING_KEYS")
YOUNGER = {"TRACKING_KEYS"}
"""Those that a file of an earlier version lacks: they are added."""


def load_or_create(stack_dir: Path) -> dict[str, str]:
    """The secrets by variable name. Raises StackError when the file is damaged."""
    path = stack_dir / "secrets.env"
    if not path.exists():
        _write(path, _fresh())
    pairs = (line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    found = {name: value for name, value in pairs if value}
    missing = [name for name in NAMES if name not in found]
    if set(missing) <= YOUNGER and missing:
        _write(path, {name: found.get(name) or value for name, value in _fresh().items()}, replace=True)
        return load_or_create(stack_dir)
    if missing:
        raise StackError(
            f"{path} has no {', '.join(missing)}",
            mend="restore the line, or delete the file and run make reset",
        )
    return found


def _fresh() -> dict[str, str]:
    """New values for all names."""
    encryption, tracking = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    values = (
        secrets.token_urlsafe(48),
        f"k1:{encryption}",
        secrets.token_urlsafe(32),
        f"k1:{tracking}",
    )
    return dict(zip(NAMES, values, strict=True))


def _write(path: Path, values: Mapping[str, str], *, replace: bool = False) -> None:
    """Write the whole file beside its place, then link it: two first calls at once agree on one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    draft = Path(name)
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    if replace:
        draft.replace(path)
        return
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def token(environment: Mapping[str, str], *, org: str, role: str, now: float | None = None) -> str:
    """A development JWT that the services accept for 12 hours.

    `environment` gives JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE. Raises StackError for an unknown role.
    """
    if role not in ROLES:
        raise StackError(f"there is no role {role!r}", mend=f"use one of {', '.join(ROLES)}")
    issued = int(time.time() if now is None else now)
    claims = {
        "iss": environment["JWT_ISSUER"], "aud": environment["JWT_AUDIENCE"], "sub": f"dev-{role}",
        "org": org, "role": role, "iat": issued, "exp": issued + TOKEN_SECONDS,
    }  # fmt: skip
    return jwt.encode(claims, environment["JWT_SECRET"], algorithm=ALGORITHM)
