"""Planner and workers on a real database and Redis, against the Telegram simulator."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import jwt
import pytest
from contracts.catalogue import decode
from contracts.envelope import AnyEvent, Envelope, new_event
from contracts.events.campaign import (
    AudienceDefinition,
    CampaignStarted,
    ExecutionOptions,
    ExecutionSnapshot,
    FrozenMessage,
)
from contracts.events.delivery import DeliveryRecorded
from contracts.ids import new_id
from execution_service.application.accept_execution import accept_execution
from execution_service.application.plan_execution import PlanExecution
from execution_service.application.ports import Member
from execution_service.bootstrap_engine import make_planner, make_steering
from execution_service.bootstrap_worker import Worker, WorkerWiring
from execution_service.domain.bot import Bot, BotLimits
from execution_service.domain.contact import Contact
from execution_service.domain.execution import Execution
from execution_service.entrypoints.api.app import build_app
from execution_service.entrypoints.subscriptions import subscriptions
from execution_service.settings_engine import WorkerSettings
from motor.motor_asyncio import AsyncIOMotorDatabase
from pydantic import SecretStr
from service_kit.testing.waiting import eventually

KEYS = "k1:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
JWT_SECRET = "a-secret-of-at-least-thirty-two-bytes"
_TIMES = ("paused_at", "resumed_at", "cancelled_at", "deleted_at", "failed_at")


@dataclass
class Engine:
    """One service on an empty database with one bot."""

    wiring: WorkerWiring
    telegram: Any
    bot: Bot = field(init=False)
    versions: int = 1

    @property
    def database(self) -> AsyncIOMotorDatabase[dict[str, Any]]:
        return self.wiring.database

    async def contacts(
        self,
        numbers: Sequence[int],
        *,
        segments: Sequence[str] = ("seg",),
        chat: int | None = None,
        **fields: Any,
    ) -> None:
        """Contacts con_000007, … whose chat ids are their numbers, or all `chat`."""
        now = self.wiring.clock.now()
        people = [
            Contact(
                "acme", f"con_{number:06d}", chat or number, now, now,
                first_name=f"Näme {number}", segments=tuple(segments), **fields,
            )
            for number in numbers
        ]  # fmt: skip
        for begin in range(0, len(people), 500):
            part = people[begin : begin + 500]
            await self.wiring.transactions.run(lambda tx, part=part: self.wiring.contacts.insert(tx, part))

    def started(
        self,
        *,
        segments: Sequence[str] = ("seg",),
        messages: int = 1,
        campaign_id: str | None = None,
        execution_id: str | None = None,
        end_date: datetime | None = None,
        audience: dict[str, Any] | None = None,
        bot_id: str | None = None,
        bots: Sequence[Bot] = (),
        paid: bool = False,
        budget: float | None = None,
        retry_unknown: bool = False,
        **options: Any,
    ) -> Envelope[CampaignStarted]:
        """A `campaign.started` event."""
        campaign_id, now = campaign_id or new_id("camp"), self.wiring.clock.now()
        snapshot = ExecutionSnapshot(
            messages=[
                FrozenMessage(id=f"msg{n}", content=f"{n}: Hi {{{{firstName}}}}") for n in range(messages)
            ],
            audience=AudienceDefinition(segments=list(segments), **audience or {}),
            options=ExecutionOptions(**options),
            sampling_seed=campaign_id,
            end_date=end_date,
            bot_id=bot_id,
            bot_ids=[bot.bot_id for bot in bots],
            allow_paid_broadcast=paid,
            budget=budget,
            retry_unknown=retry_unknown,
        )
        data = CampaignStarted(
            campaign_id=campaign_id, name="Sale", type="message", status="active",
            execution_id=execution_id or new_id("exec"), snapshot=snapshot, started_at=now, test_mode=snapshot.options.test_mode,
        )  # fmt: skip
        return self.event(data)

    def event(self, data: Any) -> Any:
        """`data` as the campaign's next version."""
        self.versions += 1
        now = self.wiring.clock.now()
        return new_event(
            data, source="test", subject=data.campaign_id, org="acme", time=now, sequence=self.versions
        )

    async def steer(self, kind: Any, started: Envelope[CampaignStarted], **fields: Any) -> Any:
        """Handle an event of `kind` about the started execution; the event."""
        now, data = self.wiring.clock.now(), started.data
        told = {"execution_id": data.execution_id, **fields}
        told |= {name: now for name in _TIMES if name in kind.model_fields and name not in fields}
        status = told.pop("status", "active")
        event = self.event(
            kind(campaign_id=data.campaign_id, name="Sale", type="message", status=status, **told)
        )
        await self.handle(event)
        return event

    async def handle(self, event: Any) -> None:
        """As the consumer does."""
        steering = make_steering(self.wiring, await self.wiring.inbox("test"))
        await subscriptions(note=self._unused, accept=self._unused, steer=steering)[type(event.data)](event)

    async def _unused(self, event: Any) -> None:
        raise NotImplementedError(event.type)

    async def accept(self, event: Envelope[CampaignStarted]) -> str:
        """Handle the event; the execution's id."""
        await accept_execution(
            event,
            executions=self.wiring.executions,
            campaigns=self.wiring.campaigns,
            marks=self.wiring.marks,
            inbox=await self.wiring.inbox("test"),
            transactions=self.wiring.transactions,
            clock=self.wiring.clock,
        )
        return event.data.execution_id

    async def planned(self, **options: Any) -> str:
        """An execution, planned to the end."""
        execution_id = await self.accept(self.started(**options))
        assert await make_planner(self.wiring).run_once("planner")
        return execution_id

    async def execution(self, execution_id: str) -> Execution:
        found = await self.wiring.executions.get(execution_id)
        assert found is not None
        return found

    async def counts(self, execution_id: str) -> dict[str, int]:
        """The shards' sums, after checking that the ledger says the same of single-message executions."""
        sums = await self.wiring.shards.sums(execution_id)
        return {**dict.fromkeys(("successful", "failed", "skipped", "unknown"), 0), **sums.counts}

    async def events(self) -> list[AnyEvent]:
        """What waits in the outbox."""
        rows = await self.database["outbox"].find().sort("_id", 1).to_list(None)
        return [decode(row["value"]) for row in rows]

    @asynccontextmanager
    async def working(self, name: str = "worker") -> AsyncIterator[Worker]:
        """A worker process's runners, stopped as SIGTERM does."""
        worker = Worker(self.wiring, owner=name)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            running.cancel()
            await asyncio.wait({running})
            await worker.close()

    async def ended(self, execution_id: str, status: str = "completed") -> None:
        """Wait until the execution has `status`."""

        await eventually(
            lambda: self.execution(execution_id), lambda found: found.status == status, every=0.02
        )

    async def eventually(self, check: Callable[[], Awaitable[bool]]) -> None:
        """Poll `check` until it holds."""
        await eventually(check, bool, every=0.02)

    def bearer(self, role: str = "viewer", *, org: str = "acme", seconds: float = 600) -> dict[str, str]:
        """The header of a caller whose token lasts so long."""
        secret = self.wiring.settings.jwt_secret.get_secret_value()
        claims = {"iss": "campaigns", "aud": "campaigns-api", "sub": "u", "org": org, "role": role}
        token = jwt.encode({**claims, "exp": time.time() + seconds}, secret, algorithm="HS256")
        return {"Authorization": f"Bearer {token}"}

    def interrupted(self, contact_id: str, happen: Callable[[], Awaitable[Any]]) -> PlanExecution:
        """A planner to whom something happens, once, when its walk is about to meet the contact."""
        planner = make_planner(self.wiring)
        members, done = planner._audience.members, False

        async def interrupted(*args: Any, **kwargs: Any) -> AsyncIterator[Member]:
            nonlocal done
            async for member in members(*args, **kwargs):
                if member.contact_id == contact_id and not done:
                    done = True
                    await happen()
                yield member

        planner._audience.members = interrupted  # type: ignore[method-assign]
        return planner

    async def new_bot(self, *, per_second: int = 1_000, default: bool = False, **limits: int) -> Bot:
        """A bot of acme that Telegram knows."""
        bots, telegram_id, bot_id = self.wiring.bots, secrets.randbelow(10**12) + 10**6, new_id("bot")
        bot = Bot(
            bot_id, "acme", "Bot", telegram_id, None,
            bots.seal(f"{telegram_id}:a-secret-of-the-bot", org="acme", bot_id=bot_id),
            BotLimits(per_second=per_second, **limits), default, self.wiring.clock.now(),
        )  # fmt: skip
        await self.wiring.transactions.run(lambda tx: bots.insert(tx, bot))
        return bot

    def sends(self, bot: Bot | None = None) -> list[dict[str, Any]]:
        """Every send of the bot, as Telegram saw it."""
        return self.telegram.ledger((bot or self.bot).telegram_id)  # type: ignore[no-any-return]

    def deliveries(self, bot: Bot | None = None) -> Counter[int]:
        """How often each chat was delivered to, as Telegram saw it."""
        return Counter(row["chat_id"] for row in self.sends(bot) if row["message_id"] is not None)

    async def states(self, execution_id: str) -> Counter[str]:
        """The execution's shards by state."""
        rows = await self.database["shards"].find({"executionId": execution_id}).to_list(None)
        return Counter(row["state"] for row in rows)

    async def ledger_agrees(self, execution_id: str) -> dict[str, int]:
        """The contacts by outcome, once shards, windows, their rows and the events all say the same."""
        counts = await self.counts(execution_id)
        windows = await self.database["windows"].find({"executionId": execution_id}).to_list(None)
        assert sum((Counter(row.get("counts", {})) for row in windows), Counter()) == Counter(counts)
        page = await self.wiring.pages.page(execution_id, status=None, code=None, limit=10**6, cursor=None)
        assert Counter(row.status for row in page.rows) == Counter(counts)
        assert len({row.contact_id for row in page.rows}) == len(page.rows)
        told: Counter[str] = Counter()
        ids = []
        for event in await self.events():
            if isinstance(event.data, DeliveryRecorded) and event.data.execution_id == execution_id:
                ids.append(event.id)
                for row in event.data.tally:
                    told[row.status] += row.count
        assert told == Counter(counts)
        assert len(ids) == len(set(ids))
        return counts


@pytest.fixture
def new_engine() -> type[Engine]:
    """For tests that wire it by themselves."""
    return Engine


@pytest.fixture
def engine_settings(mongo_url: str, redis_url: str) -> WorkerSettings:
    """Small shards and windows, so that little data has many of them."""
    return WorkerSettings(
        kafka_bootstrap_servers="unused",
        mongo_url=SecretStr(mongo_url),
        mongo_timeout_ms=10_000,
        redis_url=SecretStr(redis_url),
        jwt_secret=SecretStr(JWT_SECRET),
        encryption_keys=SecretStr(KEYS),
        tracking_keys=SecretStr(KEYS),
        tracking_base_url="http://go.test/api/v1/t",
        internal_token=SecretStr("internal"),
        shard_size=50,
        window_size=25,
        idle_seconds=0.02,
        telegram_answer_seconds=3,
        bot_keep_seconds=0.01,
        org_settings_keep_seconds=0,
    )


@pytest.fixture
async def engine(
    engine_settings: WorkerSettings,
    simulator: Any,
    mongo_database: AsyncIOMotorDatabase[dict[str, Any]],
) -> AsyncIterator[Engine]:
    """A fresh engine."""
    settings = engine_settings.model_copy(update={"telegram_api_base_url": simulator.url})
    wiring = WorkerWiring(settings, service=mongo_database.name)
    await wiring.prepare_engine()
    simulator.configure()
    made = Engine(wiring, simulator)
    made.bot = await made.new_bot(default=True)
    yield made
    await wiring.close()


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer of acme."""
    transport = httpx.ASGITransport(build_app(engine.wiring), raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test/api/v1", headers=engine.bearer()
    ) as client:
        yield client
