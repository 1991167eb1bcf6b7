"""Puts together the audience's parts, which all processes but the relay share. Nothing connects at import."""

import asyncio
from collections.abc import Awaitable, Callable

import stamina
from pymongo.errors import PyMongoError
from service_kit.clock import Clock
from service_kit.crypto import SecretBox
from service_kit.mongo.lease import MongoLease
from service_kit.mongo.transactions import MongoTransactions
from service_kit.process import Part, owner_name
from service_kit.wiring import ServiceWiring

from execution_service.adapters.estimate_loop import EstimateLoop
from execution_service.adapters.mongo_audience import MongoAudienceMarks, MongoCampaigns
from execution_service.adapters.mongo_audience_index import MongoAudienceChunks, MongoContactChanges
from execution_service.adapters.mongo_bots import MongoBots
from execution_service.adapters.mongo_contacts import MongoContacts
from execution_service.adapters.mongo_executions import MongoExecutions
from execution_service.adapters.mongo_imports import MongoImports
from execution_service.adapters.mongo_recent_sends import MongoRecentSends
from execution_service.adapters.mongo_segments import MongoSegments
from execution_service.adapters.mongo_settings import MongoSettings
from execution_service.adapters.mongo_spending import MongoSpending
from execution_service.adapters.telegram_get_me import TelegramGetMe
from execution_service.application.campaign_spending import CampaignSpending
from execution_service.application.count_capped import CountCapped
from execution_service.application.draw_members import DrawMembers
from execution_service.application.estimate_audiences import estimate_audiences
from execution_service.application.fold_contacts import FoldContacts
from execution_service.application.forecast_execution import ForecastExecution
from execution_service.application.import_contacts import ImportContacts
from execution_service.application.list_contacts import ListContacts
from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.recent_settings import RecentSettings
from execution_service.application.show_audience import ShowAudience
from execution_service.settings import Settings

SERVICE = "execution-service"
YOUNG_WAIT_SECONDS = 2.0
"""How long a campaign that was created just now is waited for."""


class Wiring(ServiceWiring):
    """What every process of this service shares; the database is called `service`.

    Make it inside the event loop.
    """

    def __init__(self, settings: Settings, *, service: str = SERVICE, clock: Clock | None = None) -> None:
        super().__init__(settings, service=service, clock=clock)
        self.execution_settings = settings
        self.contacts = MongoContacts(self.database)
        self.changes = MongoContactChanges(self.database)
        self.chunks = MongoAudienceChunks(self.database, transactions=self.transactions)
        self.segments = MongoSegments(self.database)
        self.org_settings = MongoSettings(self.database)
        self.recent_settings = RecentSettings(
            self.org_settings, keep_seconds=settings.org_settings_keep_seconds
        )
        self.bots = MongoBots(self.database, box=SecretBox(settings.encryption_keys.get_secret_value()))
        self.recent_sends = MongoRecentSends(self.database)
        self.spending = MongoSpending(self.database)
        self.campaign_spending = CampaignSpending(
            executions=MongoExecutions(self.database),
            spending=self.spending,
            transactions=self.transactions,
        )
        self.marks = MongoAudienceMarks(self.database, clock=self.clock)
        self.campaigns = MongoCampaigns(self.database)
        self.imports = MongoImports(self.database, wait_seconds=settings.idempotency_wait_seconds)
        self.request_keys = self.idempotency_keys()
        self.telegram = TelegramGetMe(
            base_url=settings.telegram_api_base_url, timeout=settings.telegram_check_seconds
        )
        self.at_stop: list[Callable[[], None]] = []
        """Called when the process begins to stop."""
        self.import_transactions = MongoTransactions(self.client, timeout=settings.import_batch_seconds)
        self.fold = FoldContacts(
            changes=self.changes,
            chunks=self.chunks,
            contacts=self.contacts,
            marks=self.marks,
            transactions=self.import_transactions,
        )
        self.measure = MeasureAudience(
            chunks=self.chunks, fold=self.fold, catch_up_seconds=settings.catch_up_seconds
        )
        self.list_contacts = ListContacts(
            contacts=self.contacts,
            chunks=self.chunks,
            fold=self.fold,
            segments=self.segments,
            catch_up_seconds=settings.catch_up_seconds,
        )
        self.forecast = ForecastExecution(
            measure=self.measure,
            draw=DrawMembers(self.chunks),
            segments=self.segments,
            audience=self.contacts,
            bots=self.bots,
            settings=self.org_settings,
            sends=self.recent_sends,
        )
        self.show_audience = ShowAudience(
            campaigns=self.campaigns,
            segments=self.segments,
            measure=self.measure,
            capped=CountCapped(chunks=self.chunks, sends=self.recent_sends),
            settings=self.org_settings,
            clock=self.clock,
            wait_seconds=YOUNG_WAIT_SECONDS,
        )

    async def tell_of_stop(self) -> None:
        """The part that waits for the end, to tell those who would hold it up: streams, for example."""
        try:
            await asyncio.Event().wait()
        finally:
            for tell in self.at_stop:
                tell()

    async def prepare_audience(self) -> None:
        """Create the audience's indexes, as soon as the database is there."""
        for store in (
            self.contacts,
            self.changes,
            self.chunks,
            self.segments,
            self.bots,
            self.imports,
            self.campaigns,
            self.outbox,
            self.request_keys,
        ):
            await until_ready(store.prepare)


async def until_ready(prepare: Callable[[], Awaitable[None]]) -> None:
    """Run `prepare` until the database lets it: a process does not die because the database starts later."""
    async for attempt in stamina.retry_context(
        on=(PyMongoError, TimeoutError), attempts=None, timeout=None, wait_initial=0.2, wait_max=2
    ):
        with attempt:
            await prepare()


def import_contacts(wiring: Wiring) -> ImportContacts:
    """The use case behind an upload of contacts, for the API process."""
    return ImportContacts(
        contacts=wiring.contacts,
        segments=wiring.segments,
        imports=wiring.imports,
        transactions=wiring.import_transactions,
        clock=wiring.clock,
        lease_seconds=wiring.execution_settings.import_lease_seconds,
    )


def estimate_part(wiring: Wiring, *, process: str) -> Part:
    """The part that keeps audiences counted, for the planner process."""

    async def turn() -> int:
        return await estimate_audiences(
            marks=wiring.marks,
            campaigns=wiring.campaigns,
            segments=wiring.segments,
            measure=wiring.measure,
            outbox=wiring.outbox,
            transactions=wiring.import_transactions,
            clock=wiring.clock,
        )

    return _audience_loop(wiring, "audience-estimates", turn, process, eager=False)


def fold_part(wiring: Wiring, *, process: str) -> Part:
    """The part that keeps the audience index up to date, for the planner process."""
    return _audience_loop(wiring, "audience-fold", wiring.fold.oldest, process, eager=True)


def _audience_loop(
    wiring: Wiring, name: str, turn: Callable[[], Awaitable[int]], process: str, *, eager: bool
) -> Part:
    settings = wiring.execution_settings
    lease = MongoLease(
        wiring.database,
        name=name,
        owner=owner_name(process),
        seconds=settings.lease_seconds,
        clock=wiring.clock,
    )
    return EstimateLoop(turn, lease=lease, seconds=settings.estimate_seconds, eager=eager).run
