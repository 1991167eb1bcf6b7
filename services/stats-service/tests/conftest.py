"""In-memory stand-ins for the ports, and the messages that tests send."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import pytest
from contracts.envelope import encode, new_event
from contracts.events.audience import ContactErased as ContactErasedEvent
from contracts.events.audience import SegmentChanged
from contracts.events.campaign import (
    AudienceDefinition,
    Button,
    CampaignCreated,
    CampaignDeleted,
    CampaignResumed,
    CampaignStarted,
    ExecutionOptions,
    ExecutionSnapshot,
    Failure,
    FrozenMessage,
    Totals,
)
from contracts.events.delivery import DeliveryRecorded, TallyRow
from contracts.events.engagement import EngagementClicked, EngagementConverted
from contracts.events.execution import ExecutionCompleted, ExecutionFailed, ExecutionPlanned
from contracts.events.settings import GuardRails, SettingsChanged
from service_kit.ports import Tx
from service_kit.testing.fakes import staged
from stats_service.application.ports import (
    Announced,
    Bounds,
    NewPrice,
    Owner,
    Partition,
    PositionMoved,
    Record,
)
from stats_service.application.ports_reading import Stamp
from stats_service.domain.dimensions import ALL, Cell, Kind, Line
from stats_service.domain.facts import ContactErased, FrozenLink, PriceSet, SegmentKey, SegmentNamed
from stats_service.domain.person import Person, Received
from stats_service.domain.series import Row
from stats_service.domain.states import (
    Ahead,
    CampaignState,
    Changes,
    ExecutionKey,
    ExecutionState,
    Known,
    Names,
    PersonKey,
    ShardKey,
    ShardState,
)

K = TypeVar("K")
V = TypeVar("V")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_TOTALS = Totals(targeted=0, successful=0, failed=0, skipped=0, unknown=0)


@dataclass
class InMemoryStats:
    """Positions, ledger, numbers and announcements; writes happen at commit."""

    offsets: dict[Partition, int] = field(default_factory=dict)
    shards: dict[ShardKey, ShardState] = field(default_factory=dict)
    reached: dict[ShardKey, list[tuple[Received, bytes]]] = field(default_factory=dict)
    executions: dict[ExecutionKey, ExecutionState] = field(default_factory=dict)
    orgs: dict[str, str] = field(default_factory=dict)
    cells: dict[str, Counter[Cell]] = field(default_factory=dict)
    tasks: dict[str, Counter[str]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    told: dict[str, datetime] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    campaigns: dict[str, CampaignState] = field(default_factory=dict)
    prices: dict[str, PriceSet] = field(default_factory=dict)
    segments: dict[SegmentKey, SegmentNamed] = field(default_factory=dict)
    people: dict[PersonKey, Person] = field(default_factory=dict)
    erased: list[ContactErased] = field(default_factory=list)
    repriced: set[str] = field(default_factory=set)
    links: dict[tuple[str, str], FrozenLink] = field(default_factory=dict)

    async def all(self) -> Mapping[Partition, int]:
        return dict(self.offsets)

    async def read(self, partition: Partition) -> int:
        return self.offsets.setdefault(partition, -1)

    async def read_in(self, tx: Tx, partition: Partition) -> int:
        if partition not in self.offsets:
            raise PositionMoved
        return self.offsets[partition]

    async def move(self, tx: Tx, partition: Partition, *, before: int, after: int) -> None:
        if self.offsets.get(partition) != before:
            raise PositionMoved
        staged(tx, lambda: self.offsets.update({partition: after}))

    async def look_ahead(self, engaged: Collection[PersonKey]) -> Ahead:
        return Ahead()

    async def known(self, tx: Tx, names: Names, ahead: Ahead) -> Known:
        reached = {key for key in self.people if key.contact in _each(names.reached.get(key.campaign, b""))}
        people = _those(self.people, names.engaged | reached)
        new = names.engaged - people.keys()
        return Known(
            people=people,
            received={key: received for key in new if (received := self._received(key))},
            versions=dict.fromkeys(names.campaigns, 0),
            campaigns=_those(self.campaigns, names.campaigns),
            shards=_those(self.shards, names.shards),
            executions=_those(self.executions, names.executions),
            prices=_those(self.prices, names.orgs),
            segments=_those(self.segments, names.segments),
        )

    def _received(self, key: PersonKey) -> list[Received]:
        return [
            received
            for shard, groups in self.reached.items()
            for received, contacts in groups
            if shard.campaign == key.campaign and key.contact in _each(contacts)
        ]

    async def apply(self, tx: Tx, known: Known, changes: Changes) -> None:
        staged(tx, lambda: self._apply(known, changes))

    async def get(self, execution: str, link: str) -> FrozenLink | None:
        return self.links.get((execution, link))

    def _apply(self, known: Known, changes: Changes) -> None:
        for link in changes.links:
            self.links.setdefault((link.execution, link.link), link)
        self.shards |= changes.shards
        for key, groups in changes.reached.items():
            self.reached.setdefault(key, []).extend(
                (received, bytes(contacts)) for received, contacts in groups.items()
            )
        self.executions |= changes.executions
        self.people |= changes.people
        self.erased += changes.erased
        self.campaigns |= changes.campaigns
        self.segments |= changes.segments
        self.prices |= changes.prices
        for org, price in changes.prices.items():
            if org not in known.prices or known.prices[org].cost_per_message != price.cost_per_message:
                self.repriced.add(org)
        for campaign, more in changes.books.items():
            self.orgs.setdefault(campaign, more.org)
            self.cells.setdefault(campaign, Counter()).update(more.cells)
            self.tasks.setdefault(campaign, Counter()).update(more.tasks)
            self.revisions[campaign] = self.revisions.get(campaign, 0) + 1
            self.dirty.add(campaign)

    async def owner_of(self, campaign: str) -> Owner | None:
        seen = self.campaigns.get(campaign)
        return None if seen is None else Owner(seen.org, seen.deleted)

    async def totals(self, campaign: str) -> Mapping[str, int]:
        totals: Counter[str] = Counter(self.tasks.get(campaign, {}))
        for cell, number in self.cells.get(campaign, {}).items():
            if cell.line == ALL:
                totals[cell.metric] += number
        return totals

    async def due(self, before: datetime, limit: int) -> Sequence[str]:
        return [item for item in sorted(self.dirty) if self.told.get(item, EPOCH) <= before][:limit]

    async def take(
        self, tx: Tx, campaigns: Sequence[str], now: datetime, *, before: datetime
    ) -> Sequence[Announced]:
        due = [one for one in campaigns if one in self.dirty and self.told.get(one, EPOCH) <= before]
        for one in due:
            staged(tx, partial(self._tell, one, now))
        return [await self._announced(one) for one in due]

    async def _announced(self, campaign: str) -> Announced:
        org = self.orgs[campaign]
        price = self.prices.get(org, PriceSet(org, 0, 0))
        totals = await self.totals(campaign)
        return Announced(campaign, org, self.revisions[campaign], totals, price.cost_per_message)

    async def changed(self, limit: int) -> Sequence[NewPrice]:
        return [NewPrice(org, self.prices[org].revision) for org in sorted(self.repriced)[:limit]]

    async def spread(self, price: NewPrice) -> None:
        mine = [campaign for campaign, org in self.orgs.items() if org == price.org]
        self.revisions |= {campaign: self.revisions[campaign] + 1 for campaign in mine}
        self.dirty |= set(mine)
        self.repriced.discard(price.org)

    def _tell(self, campaign: str, now: datetime) -> None:
        self.dirty.discard(campaign)
        self.told[campaign] = now


def _each(contacts: bytes | bytearray) -> set[bytes]:
    return {bytes(contacts[at : at + 8]) for at in range(0, len(contacts), 8)}


def _those(kept: Mapping[K, V], keys: Iterable[K]) -> dict[K, V]:
    return {key: kept[key] for key in keys if key in kept}


@dataclass
class InMemoryLog:
    """A topic's partitions as lists; `start` is the first offset that retention left, `piece` what is read at once."""

    kept: dict[Partition, list[Record]] = field(default_factory=dict)
    start: int = 0
    piece: int = 3

    async def bounds(self, topics: Collection[str]) -> Mapping[Partition, Bounds]:
        return {part: Bounds(self.start, len(records)) for part, records in self.kept.items()}

    async def read(self, partition: Partition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        records = self.kept[partition][max(start, self.start) : stop]
        for at in range(0, len(records), self.piece):
            yield records[at : at + self.piece]


@pytest.fixture(scope="session")
def make_stats() -> type[InMemoryStats]:
    return InMemoryStats


@pytest.fixture
def stats() -> InMemoryStats:
    return InMemoryStats()


@pytest.fixture
def topics_log() -> InMemoryLog:
    return InMemoryLog()


@pytest.fixture
def partition() -> Partition:
    return Partition("delivery-events", 3)


def window_event(window: int = 0, **changes: Any) -> bytes:
    """`delivery.recorded` of one contact reached, unless `changes` say otherwise."""
    given: dict[str, Any] = {
        "campaign_id": "camp_1",
        "execution_id": "exec_1",
        "shard": 0,
        "step": 0,
        "shard_completed": False,
        "tally": [TallyRow(minute=29_000_000, message_id="msg_1", status="successful", count=1)],
        "recorded_at": NOW,
    } | changes
    org = given.pop("org", "acme")
    data = DeliveryRecorded(window=window, **given)
    return encode(
        new_event(
            data,
            source="execution-service",
            subject=data.campaign_id,
            org=org,
            time=NOW,
            event_id=f"{data.execution_id}:{data.shard}:{window}",
        )
    )


def planned_event(shards: int, **changes: Any) -> bytes:
    """`execution.planned`."""
    given = {
        "campaign_id": "camp_1",
        "execution_id": "exec_1",
        "targeted": shards,
        "planned_at": NOW,
    } | changes
    data = ExecutionPlanned(shards=shards, **given)
    return encode(new_event(data, source="execution-service", subject=data.campaign_id, org="acme", time=NOW))


def failed_event(shards_failed: int, **changes: Any) -> bytes:
    """`execution.failed`."""
    given = {
        "campaign_id": "camp_1",
        "execution_id": "exec_1",
        "failure": Failure(code="BOT_UNAUTHORIZED", message="the bot's token is not valid"),
        "totals": NO_TOTALS,
        "failed_at": NOW,
    } | changes
    data = ExecutionFailed(shards_failed=shards_failed, **given)
    return encode(new_event(data, source="execution-service", subject=data.campaign_id, org="acme", time=NOW))


def completed_event(**changes: Any) -> bytes:
    """`execution.completed`."""
    given = {
        "campaign_id": "camp_1",
        "execution_id": "exec_1",
        "totals": NO_TOTALS,
        "completed_at": NOW,
    } | changes
    data = ExecutionCompleted(**given)
    return encode(new_event(data, source="execution-service", subject=data.campaign_id, org="acme", time=NOW))


def created_event(
    campaign: str = "camp_1", *, org: str = "acme", sequence: int = 1, name: str = "A"
) -> bytes:
    """`campaign.created`."""
    data = CampaignCreated(campaign_id=campaign, name=name, type="message", status="draft")
    event = new_event(data, source="campaign-service", subject=campaign, org=org, time=NOW, sequence=sequence)
    return encode(event)


def _snapshot(*rows: Sequence[str]) -> ExecutionSnapshot:
    """One message, with a button for each of the URLs."""
    buttons = [[Button(text="Go", url=url) for url in row] for row in rows]
    return ExecutionSnapshot(
        messages=[FrozenMessage(id="msg_1", content="Hi", buttons=buttons)],
        audience=AudienceDefinition(),
        options=ExecutionOptions(),
        sampling_seed="s",
    )


def started_event(*rows: Sequence[str], org: str = "acme", sequence: int = 2, **changes: Any) -> bytes:
    """`campaign.started` with rows of buttons to these URLs."""
    given = {"campaign_id": "camp_1", "execution_id": "exec_1", "started_at": NOW} | changes
    data = CampaignStarted(name="A", type="message", status="active", snapshot=_snapshot(*rows), **given)
    return encode(
        new_event(
            data, source="campaign-service", subject=data.campaign_id, org=org, time=NOW, sequence=sequence
        )
    )


def resumed_event(*rows: Sequence[str], sequence: int = 4, **changes: Any) -> bytes:
    """`campaign.resumed`, with other buttons when there are any."""
    data = CampaignResumed(
        campaign_id="camp_1", execution_id="exec_1", name="A", type="message", status="active",
        snapshot=_snapshot(*rows) if rows else None, resumed_at=NOW, **changes,
    )  # fmt: skip
    return encode(
        new_event(data, source="campaign-service", subject="camp_1", org="acme", time=NOW, sequence=sequence)
    )


def deleted_event(campaign: str = "camp_1", *, sequence: int = 2, name: str = "A") -> bytes:
    """`campaign.deleted`."""
    data = CampaignDeleted(
        campaign_id=campaign, name=name, type="message", status="cancelled", deleted_at=NOW
    )
    event = new_event(
        data, source="campaign-service", subject=campaign, org="acme", time=NOW, sequence=sequence
    )
    return encode(event)


def settings_event(cost_per_message: float, *, org: str = "acme", revision: int = 1) -> bytes:
    """`settings.changed`."""
    data = SettingsChanged(
        revision=revision,
        cost_per_message=cost_per_message,
        currency="EUR",
        timezone="UTC",
        timezone_mode="recipient",
        guard_rails=GuardRails(blocked_percent=10, blocked_of=500, equal_errors=20),
        changed_at=NOW,
    )
    return encode(
        new_event(data, source="execution-service", subject=org, org=org, time=NOW, sequence=revision)
    )


def segment_event(name: str, *, revision: int = 1, deleted: bool = False) -> bytes:
    """`segment.changed`."""
    data = SegmentChanged(segment_id="seg_a", name=name, revision=revision, changed_at=NOW, deleted=deleted)
    return encode(new_event(data, source="execution-service", subject="acme/seg_a", org="acme", time=NOW))


def changed(raw: bytes, path: str, value: Any) -> bytes:
    """`raw` with the field at the dotted `path` set to `value`."""
    body = json.loads(raw)
    *parents, last = path.split(".")
    place = body
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return json.dumps(body).encode()


def clicked_event(contact: str = "contact_1", **changes: Any) -> bytes:
    """`engagement.clicked`."""
    given = {
        "campaign_id": "camp_1",
        "execution_id": "exec_1",
        "message_id": "msg_1",
        "button": 0,
        "url": "https://a.example",
        "clicked_at": NOW,
    } | changes
    event_id, org = given.pop("event_id", None), given.pop("org", "acme")
    data = EngagementClicked(contact_id=contact, **given)
    event = new_event(
        data, source="stats-service", subject=data.campaign_id, org=org, time=NOW, event_id=event_id
    )
    return encode(event)


def converted_event(conversion: str, contact: str = "contact_1", **changes: Any) -> bytes:
    """`engagement.converted`."""
    given = {"campaign_id": "camp_1", "value": 9.5, "currency": "EUR", "converted_at": NOW} | changes
    data = EngagementConverted(conversion_id=conversion, contact_id=contact, **given)
    return encode(new_event(data, source="stats-service", subject=data.campaign_id, org="acme", time=NOW))


def erased_event(contact: str) -> bytes:
    """`contact.erased`."""
    data = ContactErasedEvent(contact_id=contact, erased_at=NOW)
    return encode(
        new_event(data, source="execution-service", subject=f"acme/{contact}", org="acme", time=NOW)
    )


@dataclass(frozen=True)
class Events:
    """Makers of event bytes."""

    window: Callable[..., bytes] = window_event
    planned: Callable[..., bytes] = planned_event
    failed: Callable[..., bytes] = failed_event
    completed: Callable[..., bytes] = completed_event
    created: Callable[..., bytes] = created_event
    deleted: Callable[..., bytes] = deleted_event
    started: Callable[..., bytes] = started_event
    resumed: Callable[..., bytes] = resumed_event
    settings: Callable[..., bytes] = settings_event
    segment: Callable[..., bytes] = segment_event
    clicked: Callable[..., bytes] = clicked_event
    converted: Callable[..., bytes] = converted_event
    erased: Callable[[str], bytes] = erased_event
    changed: Callable[[bytes, str, Any], bytes] = changed


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def records(partition: Partition) -> Callable[..., list[Record]]:
    """Bodies → records with ascending offsets from `first`."""

    def make(bodies: Iterable[bytes], first: int = 0) -> list[Record]:
        return [
            Record(partition.topic, partition.number, offset, b"camp_1", body, int(NOW.timestamp() * 1000))
            for offset, body in enumerate(bodies, first)
        ]

    return make


Fact = tuple[int, Line, str, int]
"""(minute, line, metric, count): what a fold counted."""


@dataclass
class InMemoryBooks:
    """Numbers for answers, made of the facts that were counted; `reads` says how often a stamp was read."""

    facts: list[Fact] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    called: dict[tuple[str, str], str] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def know(self, campaign: str = "camp_1", **changes: Any) -> Stamp:
        """As if events had told of the campaign, and of `changes` of its stamp."""
        before = self.stamps.get(campaign) or Stamp(campaign, "acme", False, None, (), (), 0, 0, 0.0, "USD")
        self.stamps[campaign] = replace(before, **changes)
        return self.stamps[campaign]

    def count(self, *facts: Fact, campaign: str = "camp_1") -> None:
        """Fold `facts`."""
        self.facts += facts
        self.know(campaign, revision=self.stamps[campaign].revision + 1)

    async def stamp(self, campaign: str, org: str, tx: Tx | None = None) -> Stamp | None:
        self.reads.append("stamp" if tx is None else "answer")
        found = self.stamps.get(campaign)
        return found if found is not None and found.org == org else None

    async def names(self, org: str, segments: Collection[str], tx: Tx | None = None) -> Mapping[str, str]:
        wanted = ((segment, self.called.get((org, segment))) for segment in segments)
        return {segment: name for segment, name in wanted if name is not None}

    async def totals(self, tx: Tx, stamp: Stamp, kind: Kind) -> Mapping[Line, dict[str, int]]:
        sums: dict[Line, dict[str, int]] = {}
        for _, line, metric, count in self.facts:
            if line.kind is kind:
                counts = sums.setdefault(line, {})
                counts[metric] = counts.get(metric, 0) + count
        return sums

    async def quarters(
        self, tx: Tx, stamp: Stamp, kind: Kind, between: tuple[int, int] | None, metrics: Collection[str] = ()
    ) -> Sequence[Row]:
        first, last = (0, 10**9) if between is None else (minute // 1440 * 1440 for minute in between)
        rows = self.rows(1440, 15)
        kept = [row for row in rows if row.line.kind is kind and first <= row.start <= last]
        if not metrics:
            return kept
        return [row._replace(counts={m: row.counts[m] for m in metrics if m in row.counts}) for row in kept]

    async def minutes(self, tx: Tx, stamp: Stamp, kind: Kind, between: tuple[int, int]) -> Sequence[Row]:
        first, last = (minute // 60 * 60 for minute in between)
        return [row for row in self.rows(60, 1) if row.line.kind is kind and first <= row.start <= last]

    def rows(self, length: int, cell: int) -> list[Row]:
        """All rows of so many minutes, in cells of so many."""
        rows: dict[tuple[Line, int], dict[str, dict[str, int]]] = {}
        for minute, line, metric, count in self.facts:
            start = minute // length * length
            cells = rows.setdefault((line, start), {}).setdefault(metric, {})
            number = str((minute - start) // cell)
            cells[number] = cells.get(number, 0) + count
        return [Row(line, start, cell, counts) for (line, start), counts in rows.items()]


@pytest.fixture
def books() -> InMemoryBooks:
    return InMemoryBooks()


@pytest.fixture(scope="session")
def new_books() -> type[InMemoryBooks]:
    """For tests that need many."""
    return InMemoryBooks
