"""Shards in MongoDB.

`shards` {_id: `<executionId>:<no>`, executionId, org, campaignId, no, part, size, steps, step, queue, next,
window, retry[] ([position, tries, waits, dueAt, unanswered, forHours]), passed, counts{}, errors{}, spent,
reserved, told (the account in `domain/spending.py`), state, owner, epoch, dueAt, held {count, until, edition}
(who waits for quiet hours to end), timezone (in which clocks showed what its contacts' did when it was
planned)}.
`shard_contacts` {_id: shard, executionId, contacts}: written once, apart, so that progress reads and window
writes do not carry them. They, and the positions in queue and passed, are packed: see `ledger_packing`.

A retry's shard has also firstStep, span [first, last] (shards of the run that walked the audience, which its
contacts come from) and withdrawn{} (former outcomes by code); its contacts have places and former beside
them.

`state` is pending, leased, done, or parked (its execution is not underway). `dueAt` says when the shard
may be leased: pending ones from their due time on, leased ones when the lease expires; done and parked
ones have none. So one index finds all work.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import ReturnDocument
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.adapters.ledger_packing import (
    pack_contacts,
    pack_former,
    pack_places,
    unpack_contacts,
    unpack_former,
)
from execution_service.adapters.shard_documents import changing, held_document, state_of
from execution_service.application.ports_engine import LeaseLost, ShardLease
from execution_service.domain.execution import Execution, ShardSums
from execution_service.domain.holding import NO_HOURS, Held, PlannedHours
from execution_service.domain.retrying import Retried, withdrawn
from execution_service.domain.window import ShardState

_SUMMED = dict.fromkeys(("size", "counts", "errors", "state", "withdrawn", "held", "timezone"), 1) | {
    "_id": 0
}


class MongoShards:
    """Shards of all executions in `database`."""

    def __init__(self, database: Database) -> None:
        self._shards = database["shards"]
        self._contacts = database["shard_contacts"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._shards.create_index([("dueAt", 1)])
        await self._shards.create_index([("executionId", 1), ("state", 1)])
        await self._shards.create_index([("executionId", 1), ("dueAt", 1)])
        await self._shards.create_index([("executionId", 1), ("held.edition", 1)])

    async def add(
        self,
        tx: Tx,
        execution: Execution,
        *,
        number: int,
        part: int,
        contacts: Sequence[str],
        due: datetime,
        hours: PlannedHours = NO_HOURS,
    ) -> None:
        """A new shard for the bot at place `part`, to be leased from `due` on, or when its hours come."""
        await self._add(tx, execution, number, part, contacts, due, hours)

    async def add_retry(
        self,
        tx: Tx,
        execution: Execution,
        *,
        number: int,
        part: int,
        contacts: Sequence[Retried],
        due: datetime,
        hours: PlannedHours = NO_HOURS,
    ) -> None:
        """A new shard of contacts that are all to be tried again at the same step."""
        former, places = [item.former for item in contacts], [item.place for item in contacts]
        await self._add(
            tx,
            execution,
            number,
            part,
            [item.contact_id for item in contacts],
            due,
            hours,
            step=contacts[0].step,
            more={
                "firstStep": contacts[0].step,
                "span": [places[0].shard, places[-1].shard],
                "withdrawn": withdrawn(former),
            },
            beside={"places": pack_places(places), "former": pack_former(former)},
        )

    async def _add(
        self, tx: Tx, execution: Execution, number: int, part: int, contacts: Sequence[str], due: datetime,
        hours: PlannedHours, *, step: int = 0, more: Document | None = None, beside: Document | None = None,
    ) -> None:  # fmt: skip
        session, shard_id = session_of(tx), f"{execution.execution_id}:{number}"
        state = ShardState(size=len(contacts), steps=len(execution.snapshot.messages), step=step)
        row = {
            "_id": shard_id,
            "executionId": execution.execution_id,
            "org": execution.org,
            "campaignId": execution.campaign_id,
            "no": number,
            "part": part,
            "size": state.size,
            "steps": state.steps,
            "state": "pending",
            "owner": None,
            "epoch": 0,
            "dueAt": hours.held.until if hours.held else due,
            **changing(state),
            "held": held_document(hours.held),
            "timezone": hours.timezone,
            **(more or {}),
        }
        people = {
            "_id": shard_id,
            "executionId": execution.execution_id,
            "contacts": pack_contacts(contacts),
            **(beside or {}),
        }
        await self._contacts.insert_one(people, session=session)
        await self._shards.insert_one(row, session=session)

    async def lease(
        self,
        owner: str,
        *,
        now: datetime,
        seconds: float,
        deadline: float,
        execution_id: str | None = None,
    ) -> ShardLease | None:
        """Take the one (of an execution) that has waited longest, or whose lease has expired."""
        due: Document = {"dueAt": {"$lte": now}}
        row = await self._shards.find_one_and_update(
            due if execution_id is None else {"executionId": execution_id, **due},
            {
                "$set": {"state": "leased", "owner": owner, "dueAt": now + timedelta(seconds=seconds)},
                "$inc": {"epoch": 1},
            },
            sort=[("dueAt", 1)],
            return_document=ReturnDocument.AFTER,
        )
        if row is None:
            return None
        people = await self._contacts.find_one({"_id": row["_id"]})
        return ShardLease(
            shard_id=row["_id"],
            execution_id=row["executionId"],
            org=row["org"],
            campaign_id=row["campaignId"],
            number=row["no"],
            owner=owner,
            epoch=row["epoch"],
            contacts=unpack_contacts(people["contacts"]) if people else [],
            state=state_of(row),
            deadline=deadline,
            first_step=row.get("firstStep", 0),
            former=unpack_former(people["former"]) if people and "former" in people else (),
            part=row["part"],
        )

    async def renew(self, lease: ShardLease, *, until: datetime) -> None:
        """Hold on. Raises LeaseLost."""
        answer = await self._shards.update_one(_ours(lease), {"$set": {"dueAt": until}})
        if answer.matched_count != 1:
            raise LeaseLost(lease.shard_id)

    async def advance(self, tx: Tx, lease: ShardLease, state: ShardState, *, until: datetime) -> bool:
        """Store the state with a window opened. False when no row has the state before it."""
        answer = await self._shards.update_one(
            _ours(lease, window=lease.state.window),
            {"$set": {**changing(state), "dueAt": until}},
            session=session_of(tx),
        )
        return answer.matched_count == 1

    async def save(self, tx: Tx, lease: ShardLease, state: ShardState, *, until: datetime) -> None:
        """Store the state with the window closed. Raises LeaseLost."""
        change: Document = {"$set": {**changing(state), "dueAt": until}}
        if state.done:
            change = {"$set": {**changing(state), "state": "done", "owner": None}, "$unset": {"dueAt": ""}}
        answer = await self._shards.update_one(
            _ours(lease, window=state.window), change, session=session_of(tx)
        )
        if answer.matched_count != 1:
            raise LeaseLost(lease.shard_id)

    async def release(self, lease: ShardLease, *, due: datetime) -> None:
        """Let others take it from `due` on. Harmless when it is not ours."""
        await self._shards.update_one(
            _ours(lease), {"$set": {"state": "pending", "owner": None, "dueAt": due}}
        )

    async def hold(self, lease: ShardLease, held: Held) -> None:
        """Let others take it when its contacts' hours come. Harmless when it is not ours."""
        waiting = {"state": "pending", "owner": None, "dueAt": held.until, "held": held_document(held)}
        here = _ours(lease, window=lease.state.window)
        await self._shards.update_one(here, {"$set": {**changing(lease.state), **waiting}})

    async def park(self, lease: ShardLease) -> None:
        """Its execution is not underway. Harmless when it is not ours."""
        await self._shards.update_one(
            _ours(lease), {"$set": {"state": "parked", "owner": None}, "$unset": {"dueAt": ""}}
        )

    async def unpark(self, execution_id: str, *, due: datetime) -> None:
        """Let the execution's parked shards be leased from `due` on."""
        parked = {"executionId": execution_id, "state": "parked"}
        await self._shards.update_many(parked, {"$set": {"state": "pending", "dueAt": due}})

    async def hurry(self, execution_id: str, *, due: datetime) -> None:
        """Let those that wait for a later time be leased from `due` on."""
        waiting = {"executionId": execution_id, "state": "pending", "dueAt": {"$gt": due}}
        await self._shards.update_many(waiting, {"$set": {"dueAt": due}})

    async def rouse(self, execution_id: str, edition: int, *, due: datetime) -> None:
        """Let those be leased from `due` on that wait for hours by rules older than this edition."""
        waiting = {"state": "pending", "dueAt": {"$gt": due}, "held.edition": {"$lt": edition}}
        await self._shards.update_many({"executionId": execution_id, **waiting}, {"$set": {"dueAt": due}})

    async def any_due(self, execution_id: str, *, after: datetime, until: datetime) -> bool:
        """Whether a shard of the execution may be leased, or its lease expires, in that time."""
        soon = {"executionId": execution_id, "dueAt": {"$gt": after, "$lte": until}}
        return await self._shards.find_one(soon, {"_id": 1}) is not None

    async def sums(self, execution_id: str) -> ShardSums:
        """The sum over the execution's shards; each shard is one consistent document."""
        targeted = undone = 0
        counts: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        taken_back: Counter[str] = Counter()
        held: Counter[datetime] = Counter()
        pending: Counter[str | None] = Counter()
        rows = self._shards.find({"executionId": execution_id}, _SUMMED)
        async for row in rows:
            targeted += row["size"]
            undone += row["state"] != "done"
            counts.update(row["counts"])
            errors.update(row["errors"])
            taken_back.update(row.get("withdrawn", {}))
            pending[row.get("timezone")] += row["size"] - sum(row["counts"].values())
            if row.get("held"):
                held[row["held"]["until"]] += row["held"]["count"]
        return ShardSums(
            targeted, dict(counts), dict(errors), undone, dict(taken_back), dict(held), dict(pending)
        )

    async def any_undone(self, execution_id: str) -> bool:
        """Whether a shard of the execution is not done."""
        undone = {"executionId": execution_id, "state": {"$in": ["pending", "leased", "parked"]}}
        return await self._shards.find_one(undone, {"_id": 1}) is not None


def _ours(lease: ShardLease, *, window: int | None = None) -> Document:
    """Matches the shard while the lease is ours, at `window` if given."""
    mine: Document = {"_id": lease.shard_id, "state": "leased", "owner": lease.owner, "epoch": lease.epoch}
    return mine if window is None else {**mine, "window": window}
