"""The ledger in MongoDB: one document per window.

{_id: `<executionId>:<shard>:<window>`, executionId, shard, window, step, message (id), epoch,
state intent|recorded, intentAt}, with positions, tried (if any was), segments (of those to be sent to, if
they are in any) and decided (packed) while it is an intent; once it is recorded instead of them with
recordedAt, recordedBy (epoch), outcomes (packed), counts{}, statuses[], codes[], sent. Packed is what
`ledger_packing` reads; statuses and codes say which windows need no unpacking.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.adapters.ledger_packing import (
    pack_outcomes,
    pack_positions,
    pack_segments,
    pack_tried,
    unpack_candidates,
    unpack_outcomes,
)
from execution_service.application.ports_engine import (
    LeaseLost,
    ShardLease,
    Window,
)
from execution_service.domain.guard_rails import is_answer
from execution_service.domain.outcomes import Final

_FIRST_LOOK = timedelta(seconds=0.5)
_MOST_WIDER = 16
"""How much further back each look goes than the one before, at most."""


class MongoLedger:
    """Windows of all executions in `database`."""

    def __init__(self, database: Database) -> None:
        self._windows = database["windows"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._windows.create_index([("executionId", 1), ("shard", 1), ("window", 1)])
        await self._windows.create_index([("executionId", 1), ("recordedAt", 1)])

    async def open(self, tx: Tx, window: Window) -> None:
        """Store the intent."""
        row = {
            "_id": _id(window),
            "executionId": window.execution_id,
            "shard": window.shard,
            "window": window.number,
            "step": window.step,
            "message": window.message_id,
            "epoch": window.epoch,
            "state": "intent",
            "positions": pack_positions(window.positions),
            "decided": pack_outcomes(window.decided, since=window.opened_at),
            "intentAt": window.opened_at,
        }
        tried = pack_tried(window.candidates)
        if tried is not None:
            row["tried"] = tried
        segments = pack_segments([candidate.segments for candidate in window.candidates])
        if segments is not None:
            row["segments"] = segments
        await self._windows.insert_one(row, session=session_of(tx))

    async def is_open(self, tx: Tx, window: Window) -> bool:
        """Whether this very intent is stored already."""
        mine = {"_id": _id(window), "state": "intent", "epoch": window.epoch}
        return await self._windows.find_one(mine, {"_id": 1}, session=session_of(tx)) is not None

    async def left_open(self, lease: ShardLease) -> Window | None:
        """The window that the shard's former owner opened and never recorded: only the latest can be."""
        number = lease.state.window - 1
        row = await self._windows.find_one({"_id": f"{lease.shard_id}:{number}", "state": "intent"})
        if row is None:
            return None
        return Window(
            shard_id=lease.shard_id,
            execution_id=lease.execution_id,
            number=number,
            shard=row["shard"],
            step=row["step"],
            message_id=row["message"],
            epoch=row["epoch"],
            candidates=unpack_candidates(row["positions"], row.get("tried"), row.get("segments")),
            decided=unpack_outcomes(row["decided"], since=row["intentAt"]),
            opened_at=row["intentAt"],
        )

    async def record(
        self, tx: Tx, window: Window, finals: Sequence[Final], *, epoch: int, at: datetime
    ) -> bool:
        """Store the outcomes; False when this epoch already did. Raises LeaseLost when another one did."""
        session, counts = session_of(tx), Counter(item.status for item in finals)
        values = {
            "state": "recorded",
            "recordedAt": at,
            "recordedBy": epoch,
            "outcomes": pack_outcomes(finals, since=window.opened_at),
            "counts": dict(counts),
            "statuses": sorted(counts),
            "codes": sorted({item.code for item in finals if item.code is not None}),
            "sent": sum(item.sent for item in finals),
        }
        answer = await self._windows.update_one(
            {"_id": _id(window), "state": "intent"},
            {"$set": values, "$unset": dict.fromkeys(("positions", "tried", "segments", "decided"), "")},
            session=session,
        )
        if answer.matched_count == 1:
            return True
        ours = {"_id": _id(window), "recordedBy": epoch}
        if await self._windows.find_one(ours, {"_id": 1}, session=session) is None:
            raise LeaseLost(window.shard_id)
        return False

    async def answers(
        self, execution_id: str, *, since: datetime, now: datetime, enough: int
    ) -> Sequence[Final]:
        """The latest answers since then, in the order of their times; the latest `enough` of them are there.

        An answer is recorded after it came: windows recorded since some moment hold all answers since then.
        """
        back = _FIRST_LOOK
        while True:
            begin = max(since, now - back)
            rows = self._windows.find(
                {
                    "executionId": execution_id,
                    "recordedAt": {"$gte": begin},
                    "statuses": {"$in": ["successful", "failed"]},  # others hold no answer
                },
                {"outcomes": 1, "intentAt": 1},
            )
            found = [
                final
                for row in await rows.to_list(None)
                for final in unpack_outcomes(row["outcomes"], since=row["intentAt"])
                if is_answer(final) and final.at >= begin
            ]
            if len(found) >= enough or begin == since:
                return sorted(found, key=lambda final: final.at)
            back *= min(_MOST_WIDER, max(2, 2 * enough // (len(found) + 1)))

    async def sent_since(self, execution_id: str, since: datetime) -> int:
        """How many messages the windows recorded since then have sent."""
        stages: list[dict[str, Any]] = [
            {"$match": {"executionId": execution_id, "recordedAt": {"$gte": since}}},
            {"$group": {"_id": None, "sent": {"$sum": "$sent"}}},
        ]
        rows = await self._windows.aggregate(stages).to_list(None)
        return int(rows[0]["sent"]) if rows else 0


def _id(window: Window) -> str:
    return f"{window.shard_id}:{window.number}"
