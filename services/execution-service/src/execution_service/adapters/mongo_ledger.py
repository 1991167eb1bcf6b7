"""The ledger in MongoDB: one document per window.

{_id: `<shardId>:<window>`, executionId, org, shardId, shard, window, step, epoch, state intent|recorded,
positions[], decided[], intentAt, recordedAt, recordedBy (epoch), outcomes[], counts{}, statuses[], sent}.
An outcome is compact: [position, status, code, variationId, Telegram's message id, at].
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports_engine import (
    LeaseLost,
    LedgerPage,
    LedgerRow,
    ShardLease,
    Window,
)
from execution_service.domain.outcomes import STATUSES, Final, Status


class MongoLedger:
    """Windows of all executions in `database`."""

    def __init__(self, database: Database) -> None:
        self._windows = database["windows"]
        self._contacts = database["shard_contacts"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._windows.create_index([("executionId", 1), ("shard", 1), ("window", 1)])
        await self._windows.create_index([("executionId", 1), ("recordedAt", 1)])

    async def open(self, tx: Tx, window: Window) -> None:
        """Store the intent."""
        row = {
            "_id": _id(window),
            "executionId": window.execution_id,
            "org": window.org,
            "shardId": window.shard_id,
            "shard": window.shard,
            "window": window.number,
            "step": window.step,
            "epoch": window.epoch,
            "state": "intent",
            "positions": list(window.positions),
            "decided": [_compact(item) for item in window.decided],
            "intentAt": window.opened_at,
        }
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
            org=lease.org,
            number=number,
            shard=row["shard"],
            step=row["step"],
            epoch=row["epoch"],
            positions=row["positions"],
            decided=[_final(item) for item in row["decided"]],
            opened_at=row["intentAt"],
        )

    async def record(
        self, tx: Tx, window: Window, finals: Sequence[Final], *, epoch: int, at: datetime
    ) -> bool:
        """Store the outcomes; False when this epoch already did. Raises LeaseLost when another one did."""
        session = session_of(tx)
        values = {
            "state": "recorded",
            "recordedAt": at,
            "recordedBy": epoch,
            "outcomes": [_compact(item) for item in finals],
            "counts": dict(Counter(item.status for item in finals)),
            "statuses": sorted({item.status for item in finals}),
            "sent": sum(item.sent for item in finals),
        }
        answer = await self._windows.update_one(
            {"_id": _id(window), "state": "intent"}, {"$set": values}, session=session
        )
        if answer.matched_count == 1:
            return True
        ours = {"_id": _id(window), "recordedBy": epoch}
        if await self._windows.find_one(ours, {"_id": 1}, session=session) is None:
            raise LeaseLost(window.shard_id)
        return False

    async def count(self, execution_id: str) -> Mapping[Status, int]:
        """Rows by status, summed over the windows."""
        sums = {status: {"$sum": f"$counts.{status}"} for status in STATUSES}
        stages: list[dict[str, Any]] = [
            {"$match": {"executionId": execution_id}},
            {"$group": {"_id": None, **sums}},
        ]
        rows = await self._windows.aggregate(stages).to_list(None)
        return {status: int(rows[0][status]) if rows else 0 for status in STATUSES}

    async def page(
        self, execution_id: str, *, status: Status | None, code: str | None, limit: int, cursor: str | None
    ) -> LedgerPage:
        """Rows by shard and window. Raises ValueError on a cursor that is not ours."""
        shard, number, index = _read_cursor(cursor)
        wanted: Document = {
            "executionId": execution_id,
            "state": "recorded",
            "$or": [{"shard": {"$gt": shard}}, {"shard": shard, "window": {"$gte": number}}],
        }
        if status is not None:
            wanted["statuses"] = status
        rows: list[LedgerRow] = []
        contacts: dict[str, list[str]] = {}
        async for window in self._windows.find(wanted).sort([("shard", 1), ("window", 1)]):
            begin = index if (window["shard"], window["window"]) == (shard, number) else 0
            for place, outcome in enumerate(window["outcomes"][begin:], begin):
                if (status and outcome[1] != status) or (code and outcome[2] != code):
                    continue
                if len(rows) == limit:
                    return LedgerPage(rows, f"{window['shard']}.{window['window']}.{place}")
                people = contacts.get(window["shardId"]) or await self._people(window["shardId"])
                contacts = {window["shardId"]: people}
                rows.append(_row(outcome, people, window["step"]))
        return LedgerPage(rows, None)

    async def sent_since(self, execution_id: str, since: datetime) -> int:
        """How many messages the windows recorded since then have sent."""
        stages: list[dict[str, Any]] = [
            {"$match": {"executionId": execution_id, "recordedAt": {"$gte": since}}},
            {"$group": {"_id": None, "sent": {"$sum": "$sent"}}},
        ]
        rows = await self._windows.aggregate(stages).to_list(None)
        return int(rows[0]["sent"]) if rows else 0

    async def _people(self, shard_id: str) -> list[str]:
        found = await self._contacts.find_one({"_id": shard_id})
        return list(found["contacts"]) if found else []


def _id(window: Window) -> str:
    return f"{window.shard_id}:{window.number}"


def _compact(item: Final) -> list[Any]:
    return [item.position, item.status, item.code, item.variation_id, item.message_id, item.at]


def _final(item: Sequence[Any]) -> Final:
    return Final(item[0], item[1], item[5], item[2], item[3], item[4])


def _row(outcome: Sequence[Any], people: Sequence[str], step: int) -> LedgerRow:
    position, status, code, variation_id, message_id, at = outcome
    return LedgerRow(people[position], step, status, code, variation_id, message_id, at)


def _read_cursor(cursor: str | None) -> tuple[int, int, int]:
    if cursor is None:
        return -1, 0, 0
    shard, number, index = (int(part) for part in cursor.split("."))
    return shard, number, index
