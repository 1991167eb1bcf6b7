"""Executions in MongoDB.

{_id: exec_…, org, campaignId, status, snapshot, bots[] ({id, telegramId}),
plan {lastKey, shards, targeted, done}, lease {owner, epoch, expiresAt}, failure {code, message}, endDate,
budget, life, sequence, createdAt, startedAt, plannedAt, resumedAt, finishedAt, totals (of a completed one)}.
The campaign's latest execution is the one with the greatest id: ids sort by creation.
Three parties write: campaign events (`steer`), the planner (fenced by its lease and the life) and who ends it
(`close`). Each write names the status that it was decided for, so the later one finds out and decides again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts.events.campaign import ExecutionSnapshot, Totals
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from service_kit.errors import AlreadyHandled
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports import Collision
from execution_service.application.ports_engine import LeaseLost, PlanLease
from execution_service.domain.execution import (
    OPEN,
    PRIORITY_WEIGHTS,
    UNDERWAY,
    BotRef,
    Budget,
    Execution,
    ExecutionStatus,
    Plan,
    Standing,
)

_STANDING = {"status": 1, "life": 1, "endDate": 1, "org": 1, "budget": 1, "sequence": 1}


class MongoExecutions:
    """Executions of all organisations in `database`."""

    def __init__(self, database: Database) -> None:
        self._executions = database["executions"]
        self._campaigns = database["campaigns"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._executions.create_index([("org", 1), ("campaignId", 1), ("_id", -1)])
        await self._executions.create_index([("status", 1), ("lease.expiresAt", 1)])

    async def add(self, tx: Tx, execution: Execution) -> None:
        """Store a new execution. Raises AlreadyHandled when it is there."""
        row: Document = {
            "_id": execution.execution_id,
            "org": execution.org,
            "campaignId": execution.campaign_id,
            "plan": _plan_document(execution.plan),
            "lease": {"owner": None, "epoch": 0, "expiresAt": execution.created_at},
            "createdAt": execution.created_at,
            "plannedAt": None,
            **_steered(execution),
        }
        try:
            await self._executions.insert_one(row, session=session_of(tx))
        except DuplicateKeyError as error:
            raise AlreadyHandled(execution.execution_id) from error

    async def get(self, execution_id: str) -> Execution | None:
        """The execution."""
        found = await self._executions.find_one({"_id": execution_id})
        return _execution(found) if found else None

    async def load(self, tx: Tx, execution_id: str) -> Execution | None:
        """The execution, to be steered in the same transaction."""
        found = await self._executions.find_one({"_id": execution_id}, session=session_of(tx))
        return _execution(found) if found else None

    async def of_campaign(self, tx: Tx, org: str, campaign_id: str) -> list[Execution]:
        """The campaign's executions, to be steered in the same transaction."""
        found = self._executions.find({"org": org, "campaignId": campaign_id}, session=session_of(tx))
        return [_execution(row) for row in await found.sort("_id", 1).to_list(None)]

    async def steer(self, tx: Tx, before: Execution, after: Execution, *, now: datetime) -> None:
        """Store what a campaign's event changes. Raises Collision when it is not as `before` any more."""
        was = _steered(before)
        changes = {name: value for name, value in _steered(after).items() if value != was[name]}
        if after.status == "planning" and before.status != "planning":
            changes["lease.expiresAt"] = now  # for any planner, at once
        answer = await self._executions.update_one(
            {
                "_id": before.execution_id,
                "status": before.status,
                "life": before.life,
                "sequence": before.sequence,
            },
            {"$set": changes},
            session=session_of(tx),
        )
        if answer.matched_count != 1:
            raise Collision(before.execution_id)

    async def standing(self, execution_id: str) -> Standing | None:
        """What may change about it while it is sent."""
        found = await self._executions.find_one({"_id": execution_id}, _STANDING)
        return _standing(found) if found else None

    async def underway(self) -> list[Standing]:
        """The executions that workers may send."""
        rows = self._executions.find({"status": {"$in": sorted(UNDERWAY)}}, _STANDING)
        return [_standing(row) async for row in rows]

    async def weights(self, telegram_ids: Sequence[int]) -> Mapping[int, int]:
        """By Telegram's bot id: the sum of the weights of the executions that workers may send with it."""
        sums: Counter[int] = Counter()
        rows = self._executions.find(
            {"status": {"$in": sorted(UNDERWAY)}, "bots.telegramId": {"$in": list(telegram_ids)}},
            {"bots.telegramId": 1, "snapshot.options.priority": 1},
        )
        async for row in rows:
            for bot in row["bots"]:
                sums[bot["telegramId"]] += PRIORITY_WEIGHTS[row["snapshot"]["options"]["priority"]]
        return sums

    async def latest(self, org: str, campaign_id: str, *, deleted_too: bool) -> tuple[bool, Execution | None]:
        """Whether the organisation has this campaign, and its latest execution."""
        known = await self._campaigns.find_one({"_id": campaign_id, "org": org}, {"deleted": 1})
        if known is None or (known["deleted"] and not deleted_too):
            return False, None
        found = await self._executions.find_one({"org": org, "campaignId": campaign_id}, sort=[("_id", -1)])
        return True, _execution(found) if found else None

    async def runs(self, org: str, campaign_id: str, *, before: str | None, limit: int) -> list[Execution]:
        """The campaign's executions, newest first, only those older than `before`."""
        wanted: Document = {"org": org, "campaignId": campaign_id}
        if before is not None:
            wanted["_id"] = {"$lt": before}
        rows = self._executions.find(wanted, sort=[("_id", -1)], limit=limit)
        return [_execution(row) async for row in rows]

    async def using(self, tx: Tx, org: str, bot_id: str) -> str | None:
        """A campaign with an execution that has not ended and sends, or may yet send, with this bot."""
        named = [{"bots.id": bot_id}, {"snapshot.botId": bot_id}, {"snapshot.botIds": bot_id}]
        wanted = {"status": {"$in": sorted(OPEN)}, "org": org, "$or": named}
        found = await self._executions.find_one(wanted, {"campaignId": 1}, session=session_of(tx))
        return str(found["campaignId"]) if found else None

    async def lease_planning(self, owner: str, *, now: datetime, until: datetime) -> PlanLease | None:
        """Take one that waits to be planned, or whose planner's lease has expired, or is `owner`'s own."""
        row = await self._executions.find_one_and_update(
            {"status": "planning", "$or": [{"lease.expiresAt": {"$lte": now}}, {"lease.owner": owner}]},
            {"$set": {"lease.owner": owner, "lease.expiresAt": until}, "$inc": {"lease.epoch": 1}},
            sort=[("lease.expiresAt", 1)],
            return_document=ReturnDocument.AFTER,
        )
        return PlanLease(_execution(row), row["lease"]["epoch"]) if row else None

    async def choose_bots(self, lease: PlanLease, bots: Sequence[BotRef]) -> None:
        """Note the bots. Raises LeaseLost."""
        await self._fenced(lease, {"bots": _bot_documents(bots)})

    async def renew(self, lease: PlanLease, *, until: datetime) -> None:
        """Hold on. Raises LeaseLost."""
        await self._fenced(lease, {"lease.expiresAt": until})

    async def advance(self, tx: Tx, lease: PlanLease, plan: Plan, *, until: datetime) -> None:
        """Store how far the plan is, and hold on. Raises LeaseLost."""
        await self._fenced(lease, {"plan": _plan_document(plan), "lease.expiresAt": until}, tx)

    async def planned(self, tx: Tx, lease: PlanLease, plan: Plan, *, at: datetime) -> None:
        """The plan is done; the execution is running. Raises LeaseLost."""
        done = Plan(plan.last_key, plan.shards, plan.targeted, done=True)
        await self._fenced(lease, {"plan": _plan_document(done), "status": "running", "plannedAt": at}, tx)

    async def close(
        self,
        tx: Tx,
        execution_id: str,
        *,
        status: ExecutionStatus,
        among: frozenset[str],
        at: datetime,
        failure: tuple[str, str] | None = None,
        life: int | None = None,
        totals: Totals | None = None,
    ) -> bool:
        """Compare-and-set the final status; whether this call did it."""
        here: Document = {"_id": execution_id, "status": {"$in": sorted(among)}}
        answer = await self._executions.update_one(
            here if life is None else {**here, "life": life},
            {
                "$set": {
                    "status": status,
                    "failure": _failure_document(failure),
                    "finishedAt": at,
                    "totals": totals and totals.model_dump(),
                }
            },
            session=session_of(tx),
        )
        return answer.matched_count == 1

    async def _fenced(self, lease: PlanLease, values: dict[str, Any], tx: Tx | None = None) -> None:
        ours = {
            "_id": lease.execution.execution_id,
            "status": "planning",
            "life": lease.execution.life,
            "lease.epoch": lease.epoch,
        }
        answer = await self._executions.update_one(
            ours,
            {"$set": values},
            session=session_of(tx) if tx else None,
        )
        if answer.matched_count != 1:
            raise LeaseLost(lease.execution.execution_id)


def _steered(execution: Execution) -> Document:
    """What campaign events decide; the plan and its lease are the planner's."""
    frozen = execution.frozen
    return {
        "status": execution.status,
        "snapshot": frozen.model_dump(mode="json", by_alias=True) if frozen else None,
        "bots": _bot_documents(execution.bots),
        "failure": _failure_document(execution.failure),
        "endDate": execution.end_date,
        "budget": execution.budget,
        "life": execution.life,
        "sequence": execution.sequence,
        "startedAt": execution.started_at,
        "finishedAt": execution.finished_at,
        "resumedAt": execution.resumed_at,
    }


def _bot_documents(bots: Sequence[BotRef]) -> list[Document]:
    return [{"id": bot.bot_id, "telegramId": bot.telegram_id} for bot in bots]


def _failure_document(failure: tuple[str, str] | None) -> Document | None:
    return {"code": failure[0], "message": failure[1]} if failure else None


def _standing(row: Document) -> Standing:
    return Standing(
        row["_id"],
        row["status"],
        row["life"],
        row["endDate"],
        row["org"],
        Budget(row.get("budget"), row["sequence"]),
    )


def _plan_document(plan: Plan) -> Document:
    return {
        "lastKey": plan.last_key,
        "shards": plan.shards,
        "targeted": plan.targeted,
        "done": plan.done,
    }


def _execution(row: Document) -> Execution:
    plan, failure, snapshot = row["plan"], row["failure"], row["snapshot"]
    return Execution(
        execution_id=row["_id"],
        org=row["org"],
        campaign_id=row["campaignId"],
        status=row["status"],
        frozen=ExecutionSnapshot.model_validate(snapshot) if snapshot else None,
        created_at=row["createdAt"],
        bots=tuple(BotRef(bot["id"], bot["telegramId"]) for bot in row["bots"]),
        plan=Plan(plan["lastKey"], plan["shards"], plan["targeted"], plan["done"]),
        failure=(failure["code"], failure["message"]) if failure else None,
        planned_at=row["plannedAt"],
        finished_at=row["finishedAt"],
        started_at=row["startedAt"],
        end_date=row["endDate"],
        budget=row.get("budget"),
        life=row["life"],
        sequence=row["sequence"],
        totals=Totals(**row["totals"]) if row.get("totals") else None,
        resumed_at=row.get("resumedAt"),
    )
