"""Executions in MongoDB.

{_id: exec_…, org, campaignId, status, snapshot, bot {id, telegramId}, plan {lastKey, shards, targeted, done},
lease {owner, epoch, expiresAt}, failure {code, message}, createdAt, plannedAt, finishedAt}. The campaign's
latest execution is the one with the greatest id: ids sort by creation.
"""

from datetime import datetime
from typing import Any

from contracts.events.campaign import ExecutionSnapshot
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from service_kit.errors import AlreadyHandled
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports_engine import LeaseLost, PlanLease
from execution_service.domain.execution import BotRef, Execution, ExecutionStatus, Plan


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
            "status": execution.status,
            "snapshot": execution.snapshot.model_dump(mode="json", by_alias=True),
            "bot": None,
            "plan": _plan_document(execution.plan),
            "lease": {"owner": None, "epoch": 0, "expiresAt": execution.created_at},
            "failure": None,
            "createdAt": execution.created_at,
            "plannedAt": None,
            "finishedAt": None,
        }
        try:
            await self._executions.insert_one(row, session=session_of(tx))
        except DuplicateKeyError as error:
            raise AlreadyHandled(execution.execution_id) from error

    async def get(self, execution_id: str) -> Execution | None:
        """The execution."""
        found = await self._executions.find_one({"_id": execution_id})
        return _execution(found) if found else None

    async def status(self, execution_id: str) -> ExecutionStatus | None:
        """Its status alone."""
        found = await self._executions.find_one({"_id": execution_id}, {"status": 1})
        return found["status"] if found else None

    async def latest(self, org: str, campaign_id: str) -> tuple[bool, Execution | None]:
        """Whether the organisation has this campaign, and its latest execution."""
        found = await self._executions.find_one({"org": org, "campaignId": campaign_id}, sort=[("_id", -1)])
        if found is not None:
            return True, _execution(found)
        known = await self._campaigns.find_one({"_id": campaign_id, "org": org}, {"_id": 1})
        return known is not None, None

    async def running(self) -> list[str]:
        """Ids of the executions that are running, planned to the end."""
        return [row["_id"] async for row in self._executions.find({"status": "running"}, {"_id": 1})]

    async def lease_planning(self, owner: str, *, now: datetime, until: datetime) -> PlanLease | None:
        """Take one that waits to be planned, or whose planner's lease has expired, or is `owner`'s own."""
        row = await self._executions.find_one_and_update(
            {"status": "planning", "$or": [{"lease.expiresAt": {"$lte": now}}, {"lease.owner": owner}]},
            {"$set": {"lease.owner": owner, "lease.expiresAt": until}, "$inc": {"lease.epoch": 1}},
            sort=[("lease.expiresAt", 1)],
            return_document=ReturnDocument.AFTER,
        )
        return PlanLease(_execution(row), row["lease"]["epoch"]) if row else None

    async def choose_bot(self, lease: PlanLease, bot: BotRef) -> None:
        """Note the bot. Raises LeaseLost."""
        await self._fenced(lease, {"bot": {"id": bot.bot_id, "telegramId": bot.telegram_id}})

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
    ) -> bool:
        """Compare-and-set the final status; whether this call did it."""
        reason = {"code": failure[0], "message": failure[1]} if failure else None
        answer = await self._executions.update_one(
            {"_id": execution_id, "status": {"$in": sorted(among)}},
            {"$set": {"status": status, "failure": reason, "finishedAt": at}},
            session=session_of(tx),
        )
        return answer.matched_count == 1

    async def _fenced(self, lease: PlanLease, values: dict[str, Any], tx: Tx | None = None) -> None:
        answer = await self._executions.update_one(
            {"_id": lease.execution.execution_id, "status": "planning", "lease.epoch": lease.epoch},
            {"$set": values},
            session=session_of(tx) if tx else None,
        )
        if answer.matched_count != 1:
            raise LeaseLost(lease.execution.execution_id)


def _plan_document(plan: Plan) -> Document:
    return {
        "lastKey": plan.last_key,
        "shards": plan.shards,
        "targeted": plan.targeted,
        "done": plan.done,
    }


def _execution(row: Document) -> Execution:
    bot, plan, failure = row["bot"], row["plan"], row["failure"]
    return Execution(
        execution_id=row["_id"],
        org=row["org"],
        campaign_id=row["campaignId"],
        status=row["status"],
        snapshot=ExecutionSnapshot.model_validate(row["snapshot"]),
        created_at=row["createdAt"],
        bot=BotRef(bot["id"], bot["telegramId"]) if bot else None,
        plan=Plan(plan["lastKey"], plan["shards"], plan["targeted"], plan["done"]),
        failure=(failure["code"], failure["message"]) if failure else None,
        planned_at=row["plannedAt"],
        finished_at=row["finishedAt"],
    )
