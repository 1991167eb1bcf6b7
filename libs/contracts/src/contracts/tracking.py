"""Tracking links: the address behind a button, which execution-service makes and stats-service follows.

A token names an execution, a link of it and a contact, signed, so that nobody but us can make one. It does
not hold the address: that is looked up among the links of the execution, so that even a stolen key redirects
to nothing but what a campaign has. A link's id is a digest of its message, place and address: an execution
that was mended has the links of both its lives, and what was sent before goes on leading where it led.

`<key id>.<base64url(execution ‖ link ‖ contact ‖ mac)>`: ids of ours as the 16 bytes of their ULID, others
as they are; the mac is half of an HMAC-SHA-256, which is what RFC 2104, section 5, asks for at least.

A click id is such a token with the time of the click in it, and a purpose of its own, so that neither passes
for the other. Who follows a link takes it along where the address has `CLICK_ID`, and the organisation's back
end gives it back with a conversion.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from ulid import ULID

from contracts.events.campaign import FrozenMessage
from contracts.keys import read_keys

MAX_TOKEN = 512
"""Characters; no token, and no click id, is longer."""
CLICK_ID = "{{clickId}}"
"""What a button's address may hold, once, behind its host; who follows it finds the click's id there."""
_LINK_BYTES = 8
_MAC_BYTES = 16
_TIME_BYTES = 6
_LINK_PURPOSE = b"tracking-link/1"
_CLICK_PURPOSE = b"click-id/1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ULID = 0
"""In the place of a length: a ULID follows."""


class BadToken(Exception):
    """It was not made by us, or not with a key that is still known."""


@dataclass(frozen=True, slots=True)
class Link:
    """A button of a message; `button` counts row by row, from 0."""

    link_id: str
    message_id: str
    button: int
    url: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """Whom a token was given, and what for."""

    execution_id: str
    link_id: str
    contact_id: str


@dataclass(frozen=True, slots=True)
class TrackedClick:
    """Who followed a link, and when (UTC, to the millisecond)."""

    tracked: Tracked
    at: datetime


def links_of(message: FrozenMessage) -> Sequence[Link]:
    """The message's links, one for each button, row by row."""
    urls = (button.url for row in message.buttons for button in row)
    return [Link(_link_id(message.id, place, url), message.id, place, url) for place, url in enumerate(urls)]


def _link_id(message_id: str, button: int, url: str) -> str:
    named = "\n".join((message_id, str(button), url))  # an id and a URL hold no newline
    return sha256(named.encode()).hexdigest()[: 2 * _LINK_BYTES]


class TrackingKeys:
    """Signs and reads tokens. `keys` is `TRACKING_KEYS`: `k2:<base64 of 32 bytes>,k1:…`.

    The first key signs, every key reads: a key is rotated by putting a new one in front, and its links live
    until it is taken out. Raises ValueError when they cannot be used.
    """

    def __init__(self, keys: str) -> None:
        self._keys = read_keys(keys, name="TRACKING_KEYS")
        self._first = next(iter(self._keys))

    def sign(self, tracked: Tracked) -> str:
        """The token."""
        return self._signed(_LINK_PURPOSE, _body(tracked))

    def read(self, token: str) -> Tracked:
        """What the token says. Raises BadToken."""
        tracked, _ = _tracked(self._verified(_LINK_PURPOSE, token))
        return tracked

    def sign_click(self, click: TrackedClick) -> str:
        """The click's id: characters that stand in a URL as they are."""
        milliseconds = (click.at - _EPOCH) // timedelta(milliseconds=1)
        return self._signed(_CLICK_PURPOSE, _body(click.tracked) + milliseconds.to_bytes(_TIME_BYTES, "big"))

    def read_click(self, click_id: str) -> TrackedClick:
        """What the click id says. Raises BadToken."""
        tracked, time = _tracked(self._verified(_CLICK_PURPOSE, click_id))
        return TrackedClick(tracked, _EPOCH + timedelta(milliseconds=int.from_bytes(time, "big")))

    def _signed(self, purpose: bytes, body: bytes) -> str:
        return f"{self._first}.{_encode(body + self._mac(purpose, self._first, body))}"

    def _verified(self, purpose: bytes, token: str) -> bytes:
        """The body of a token of ours. Raises BadToken."""
        key_id, _, encoded = token.partition(".")
        if key_id not in self._keys or not token.isascii():
            raise BadToken
        try:
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError as error:
            raise BadToken from error
        # The decoder overlooks foreign characters and spare bits: each token has one spelling.
        if _encode(raw) != encoded:
            raise BadToken
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(purpose, key_id, body)):
            raise BadToken
        return body

    def _mac(self, purpose: bytes, key_id: str, body: bytes) -> bytes:
        message = b".".join((purpose, key_id.encode(), body))
        return hmac.digest(self._keys[key_id], message, "sha256")[:_MAC_BYTES]


def _body(tracked: Tracked) -> bytes:
    return b"".join(
        (
            _pack("exec_", tracked.execution_id),
            bytes.fromhex(tracked.link_id),
            _pack("con_", tracked.contact_id),
        )
    )


def _tracked(body: bytes) -> tuple[Tracked, bytes]:
    """What a body of ours names, and what follows."""
    execution_id, rest = _unpack("exec_", body)
    contact_id, more = _unpack("con_", rest[_LINK_BYTES:])
    return Tracked(execution_id, rest[:_LINK_BYTES].hex(), contact_id), more


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@lru_cache(maxsize=1_000)  # executions are few, and a contact's buttons are signed in a row
def _pack(prefix: str, identifier: str) -> bytes:
    if identifier.startswith(prefix):
        try:
            ulid = ULID.from_str(identifier[len(prefix) :])
        except ValueError:
            pass
        else:
            if f"{prefix}{ulid}" == identifier:
                return bytes([_ULID]) + ulid.bytes
    raw = identifier.encode()
    if not 0 < len(raw) <= 255:
        raise ValueError("an id has 1 to 255 bytes")
    return bytes([len(raw)]) + raw


def _unpack(prefix: str, packed: bytes) -> tuple[str, bytes]:
    """The id in front of `packed`, and what follows."""
    length = packed[0]
    if length == _ULID:
        return f"{prefix}{ULID.from_bytes(packed[1:17])}", packed[17:]
    return packed[1 : 1 + length].decode(), packed[1 + length :]
