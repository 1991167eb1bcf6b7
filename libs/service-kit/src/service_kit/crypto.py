"""Secrets at rest: AES-256-GCM with a key id in front and associated data that ties a secret to its owner.

Form: `<key id>.<base64url(nonce ‖ ciphertext)>`. The first key encrypts, every key decrypts, so a key
is rotated by putting a new one in front. Source: NIST SP 800-38D, by the `cryptography` package.
"""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SecretUnreadable(Exception):
    """A stored secret cannot be decrypted: wrong key, or not this owner's."""


class SecretBox:
    """Encrypts and decrypts short secrets. `keys` is `ENCRYPTION_KEYS`: `k2:<base64>,k1:<base64>`."""

    def __init__(self, keys: str) -> None:
        self._keys: dict[str, AESGCM] = {}
        for item in filter(None, (part.strip() for part in keys.split(","))):
            key_id, _, encoded = item.partition(":")
            raw = base64.b64decode(encoded, validate=True)
            if not key_id or "." in key_id or len(raw) != 32:
                raise ValueError("ENCRYPTION_KEYS must be <id>:<base64 of 32 bytes>, separated by commas")
            self._keys[key_id] = AESGCM(raw)
        if not self._keys:
            raise ValueError("ENCRYPTION_KEYS is empty")
        self._current = next(iter(self._keys))

    def seal(self, plain: str, *, owner: str) -> str:
        """Encrypt `plain` so that only the same `owner` (any string) can open it."""
        nonce = secrets.token_bytes(12)
        sealed = self._keys[self._current].encrypt(nonce, plain.encode(), owner.encode())
        return f"{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, owner: str) -> str:
        """Decrypt. Raises SecretUnreadable."""
        key_id, _, encoded = sealed.partition(".")
        try:
            raw = base64.urlsafe_b64decode(encoded)
            return self._keys[key_id].decrypt(raw[:12], raw[12:], owner.encode()).decode()
        except (KeyError, ValueError, InvalidTag) as error:
            raise SecretUnreadable(key_id) from error
