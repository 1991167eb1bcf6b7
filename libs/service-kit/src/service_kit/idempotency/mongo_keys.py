"""Keys in MongoDB.

`idempotency` {_id: `<org>/<key>`, fingerprint, owner, state: in_flight|done, lockedUntil, createdAt, and
once done: status, headers, body (bytes) or sealed (text)}.

Mental model: `owner` is a fence. Every write after the insert names the owner that it expects, so of two
that want the same row one finds it changed. Inside a transaction the database sees to it: a row that
changed since the transaction began is a write conflict, and a transaction that wrote the row first lets
nobody else write it until it ends.
"""

from datetime import timedelta
from typing import Any

from bson.binary import Binary
from contracts.ids import new_ulid
from pymongo.errors import DuplicateKeyError, ExecutionTimeout
from pymongo.read_concern import ReadConcern

from service_kit.clock import Clock
from service_kit.crypto import SecretBox
from service_kit.idempotency.keys import Claim, KeyedRequest, KeyInFlight, KeyReused, Recorded
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

COLLECTION = "idempotency"
ATTEMPTS = 5
"""Looks at a row that keeps changing hands, before it counts as in flight."""


class MongoIdempotencyKeys:
    """The IdempotencyKeys port; with `box` the bodies are stored sealed.

    `keep_seconds` counts from a key's first request, `lock_seconds` from a claim. `wait_seconds` is how
    long a write may wait for an open transaction that holds the row, such as one left by a killed process.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        lock_seconds: float,
        keep_seconds: float,
        wait_seconds: float,
        box: SecretBox | None = None,
    ) -> None:
        # An answer that a fail-over may take back must not be given again: read what a majority has.
        self._rows = database[COLLECTION].with_options(read_concern=ReadConcern("majority"))
        self._clock = clock
        self._lock = timedelta(seconds=lock_seconds)
        self._keep = timedelta(seconds=keep_seconds)
        self._wait_ms = max(1, round(wait_seconds * 1000))
        self._box = box

    async def prepare(self) -> None:
        """Create the index that forgets old keys."""
        await self._rows.create_index("createdAt", expireAfterSeconds=int(self._keep.total_seconds()))

    async def begin(self, request: KeyedRequest) -> Claim | Recorded:
        """The claim or the answer; see the port."""
        claim = Claim(request, new_ulid())
        for _ in range(ATTEMPTS):
            try:
                await self._rows.insert_one({"_id": request.id, **self._held_by(claim)})
                return claim
            except DuplicateKeyError:
                row = await self._rows.find_one({"_id": request.id})
            if row is None:
                continue  # released between the two
            if self._is_free(row, request):
                if await self._take_over(row, claim):
                    return claim
                continue
            return self._answer(row, request)
        raise KeyInFlight

    def _held_by(self, claim: Claim) -> Document:
        now = self._clock.now()
        return {
            "fingerprint": claim.request.fingerprint,
            "owner": claim.owner,
            "state": "in_flight",
            "lockedUntil": now + self._lock,
            "createdAt": now,
        }

    def _is_free(self, row: Document, request: KeyedRequest) -> bool:
        """Too old (the index forgets with a delay), or claimed by one that did not come back."""
        now = self._clock.now()
        abandoned = row["state"] == "in_flight" and bool(row["lockedUntil"] <= now)
        same = bool(row["fingerprint"] == request.fingerprint)
        return bool(row["createdAt"] <= now - self._keep) or (abandoned and same)

    async def _take_over(self, row: Document, claim: Claim) -> bool:
        """Whether the row was still as read. The old owner, if it lives, can no longer finish."""
        expected = {"_id": row["_id"], "owner": row["owner"], "state": row["state"]}
        new = {"_id": row["_id"], **self._held_by(claim)}
        try:
            found = await self._rows.find_one_and_replace(expected, new, maxTimeMS=self._wait_ms)
        except ExecutionTimeout as error:  # the old owner's transaction is open and may yet commit
            raise KeyInFlight from error
        return found is not None

    def _answer(self, row: Document, request: KeyedRequest) -> Recorded:
        if row["fingerprint"] != request.fingerprint:
            raise KeyReused
        if row["state"] == "in_flight":
            raise KeyInFlight
        return Recorded(row["status"], row["headers"], self._opened(row))

    async def finish(self, tx: Tx, claim: Claim, answer: Recorded) -> None:
        """Store the answer in `tx`; see the port."""
        done = await self._rows.update_one(
            {"_id": claim.request.id, "owner": claim.owner, "state": "in_flight"},
            {
                "$set": {
                    "state": "done",
                    "status": answer.status,
                    "headers": dict(answer.headers),
                    **self._sealed(claim.request.id, answer.body),
                }
            },
            session=session_of(tx),
        )
        if done.modified_count != 1:
            raise KeyInFlight

    async def release(self, claim: Claim) -> None:
        """Forget the claim, if it is still one; see the port."""
        mine = {"_id": claim.request.id, "owner": claim.owner, "state": "in_flight"}
        await self._rows.find_one_and_delete(mine, maxTimeMS=self._wait_ms)

    def _sealed(self, row_id: str, body: bytes) -> dict[str, Any]:
        if self._box is None:
            return {"body": Binary(body)}
        return {"sealed": self._box.seal(body.decode(), owner=f"{COLLECTION}/{row_id}")}

    def _opened(self, row: Document) -> bytes:
        """The body. Raises SecretUnreadable when its encryption key is gone: it must not happen again."""
        if "body" in row:
            return bytes(row["body"])
        if self._box is None:
            raise RuntimeError("a sealed answer, and no key to open it")
        return self._box.open(row["sealed"], owner=f"{COLLECTION}/{row['_id']}").encode()
