"""The port: keys, who holds them, and what was answered under them.

Mental model: a key is claimed before the work (`begin`), outside any transaction, so that a second
request sees it. The answer is stored in the transaction of the effect (`finish`), only if the claim
still holds. So there is an answer exactly when there is an effect, wherever the process dies. The lock
of a claim only says when others may try; that two holders never both take effect rests on `finish`.

    ServiceError
    ├── KeyReused       the key belongs to another request: 422
    └── KeyInFlight     a request with this key is being handled, or took the claim over: 409
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from service_kit.errors import ServiceError
from service_kit.ports import Tx


class KeyReused(ServiceError):
    """The Idempotency-Key was used for another request; take a new key."""

    code = "IDEMPOTENCY_KEY_REUSED"


class KeyInFlight(ServiceError):
    """A request with this Idempotency-Key is still being handled. Try again shortly."""

    code = "IDEMPOTENCY_KEY_IN_FLIGHT"
    retry_after_seconds: ClassVar[int | None] = 1


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request and the key that its organisation gave it; `fingerprint` tells other requests apart."""

    org: str
    key: str
    fingerprint: str

    @property
    def id(self) -> str:
        """The key among those of all organisations (an organisation's name has no slash)."""
        return f"{self.org}/{self.key}"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to take effect under a key; `owner` is new with every claim."""

    request: KeyedRequest
    owner: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as it went out, to the byte. Not part of logs: the body may hold a secret."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class IdempotencyKeys(Protocol):
    """Where keys are kept, 24 h from their first request."""

    async def begin(self, request: KeyedRequest) -> Claim | Recorded:
        """The claim for whoever is first, the answer for whoever comes after it.

        A claim whose lock has run out without an answer is taken over. Raises KeyReused, KeyInFlight.
        """
        ...

    async def finish(self, tx: Tx, claim: Claim, answer: Recorded) -> None:
        """Store the answer with the effect. Raises KeyInFlight, and `tx` aborts, when the claim is lost."""
        ...

    async def release(self, claim: Claim) -> None:
        """Forget a claim under which nothing happened. Harmless when it is lost or finished."""
        ...


def fingerprint(method: str, path: str, body: bytes) -> str:
    """SHA-256 over method, path and body; JSON counts by its content, not by its spaces and key order."""
    return hashlib.sha256(f"{method} {path}\n".encode() + _canonical(body)).hexdigest()


def _canonical(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body
