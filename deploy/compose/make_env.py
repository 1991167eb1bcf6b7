"""Writes the secrets that docker-compose.yml asks for into a file, once: `make_env.py .env`.

Standard library only, because whoever runs the containers need not have anything else. What the file
already says stays; a name that is missing is added. Readable by the owner alone.
"""

import base64
import os
import secrets
import sys
import tempfile
from pathlib import Path


def fresh() -> dict[str, str]:
    """New values for the four names."""
    return {
        "JWT_SECRET": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "INTERNAL_TOKEN": secrets.token_urlsafe(32),
        "TRACKING_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
    }


def complete(text: str) -> tuple[str, list[str]]:
    """`text` with the names added that have no value in it, and those names."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    there = {name.strip() for name, value in pairs if value.strip()}
    missing = {name: value for name, value in fresh().items() if name not in there}
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + gap + "".join(f"{name}={value}\n" for name, value in missing.items()), list(missing)


def main() -> None:
    """Complete the file that the command line names, in one step: a reader sees the old or the new one."""
    path = Path(sys.argv[1])
    text, added = complete(path.read_text(encoding="utf-8") if path.exists() else "")
    if not added:
        sys.stderr.write(f"{path} has all secrets; nothing was changed\n")
        return
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.resolve().parent)  # 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(draft).replace(path)
    sys.stderr.write(f"{path}: wrote {', '.join(added)}\n")


if __name__ == "__main__":
    main()
