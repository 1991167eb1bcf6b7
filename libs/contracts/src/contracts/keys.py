"""Secret keys as settings give them: `k2:<base64 of 32 bytes>,k1:…`, the first in use, all of them known."""

import base64
import re

_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")
_BYTES = 32


def read_keys(text: str, *, name: str) -> dict[str, bytes]:
    """Key id → key, in their order. `name` is the setting's. Raises ValueError when they cannot be used."""
    keys: dict[str, bytes] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = item.partition(":")
        raw = base64.b64decode(encoded, validate=True)
        if not _ID.fullmatch(key_id) or key_id in keys or len(raw) != _BYTES:
            raise ValueError(f"{name} must be <id>:<base64 of 32 bytes>, separated by commas, each id once")
        keys[key_id] = raw
    if not keys:
        raise ValueError(f"{name} is empty")
    return keys
