"""Secrets at rest: AES-256-GCM with a key id in front and associated data that ties a secret to its owner.

Form: `<key id>.<base64url(nonce ‖ ciphertext)>`. The first key encrypts, every key decrypts, so a key
is rotated by putting a new one in front. Source: NIST SP 800-38D, by the `cryptography` package.
"""

import base64
import secrets

from contracts.keys import read_keys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SecretUnreadable(Exception):
    """A stored secret cannot be decrypted: wrong key, or not this owner's."""


class SecretBox:
    """Encrypts and decrypts short secrets. `keys` is `ENCRYPTION_KEYS`: `k2:<base64>,k1:<base64>`."""

    def __init__(self, keys: str) -> None:
        read = read_keys(keys, name="ENCRYPTION_KEYS")
        self._keys = {key_id: AESGCM(raw) for key_id, raw in read.items()}
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
