"""From a message's bytes to a fact."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from contracts.catalogue import decode, event_type
from contracts.envelope import Envelope, EventData, MalformedEvent, UnknownEventType
from contracts.events.audience import ContactErased, SegmentChanged
from contracts.events.campaign import (
    AudienceDefinition,
    CampaignCreated,
    CampaignDeleted,
    CampaignEvent,
    CampaignResumed,
    CampaignStarted,
    CampaignUpdated,
    ExecutionSnapshot,
)
from contracts.events.delivery import DeliveryRecorded, FastDelivery, FastTallyRow, decode_fast
from contracts.events.engagement import EngagementClicked, EngagementConverted
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from contracts.events.execution import ExecutionPlanned as PlannedEvent
from contracts.events.settings import SettingsChanged
from contracts.tracking import links_of

from stats_service.domain.dimensions import MONEY_UNITS
from stats_service.domain.facts import (
    CampaignSeen,
    Clicked,
    ClickTold,
    Converted,
    Definition,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    FrozenLink,
    Messages,
    Outcome,
    PriceSet,
    SegmentNamed,
    TallyRow,
    WindowRecorded,
)
from stats_service.domain.facts import ContactErased as Erased
from stats_service.domain.people import reference, references

_OUTCOMES: dict[str, Outcome] = {
    "successful": "successful",
    "failed": "failed",
    "skipped": "skipped",
    "unknown": "unknown",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURRENCY = re.compile("[A-Z]{3}")
_MOST_MONEY = 10**10
_MOST = 2**31
"""No window, minute or count is larger; a number beyond it could not be stored."""
_LATEST = 2**53
"""No revision is larger: a segment's is the time of its change in milliseconds."""


def read_fact(raw: bytes | None) -> Fact | None:
    """The fact in `raw`; None for what is not counted (another type, a test run). Raises MalformedEvent."""
    if raw is None:
        raise MalformedEvent("no body")
    if event_type(raw) == DeliveryRecorded.event_type:
        return _window(decode_fast(raw))
    try:
        event = decode(raw)
    except UnknownEventType:
        return None
    return _other(event)


def _other(event: Envelope[Any]) -> Fact | None:
    data, org = event.data, event.orgid
    if isinstance(data, CampaignEvent):
        return _seen(data, event)
    if isinstance(data, (EngagementClicked, EngagementConverted)):
        return None if data.test_mode else _engaged(data, event)
    if isinstance(data, (PlannedEvent, ExecutionCompleted, ExecutionFailed)):
        return None if data.test_mode else _execution(data, org)
    return _of_organisation(data, org)


def _of_organisation(data: EventData, org: str) -> Fact | None:
    if isinstance(data, SettingsChanged):
        return PriceSet(
            org, data.cost_per_message, _sane(data.revision, "data.revision", _LATEST), data.currency
        )
    if isinstance(data, SegmentChanged):
        revision = _sane(data.revision, "data.revision", _LATEST)
        return SegmentNamed(org, data.segment_id, data.name, revision, data.deleted)
    return Erased(org, data.contact_id) if isinstance(data, ContactErased) else None


def _execution(data: PlannedEvent | ExecutionCompleted | ExecutionFailed, org: str) -> Fact:
    if isinstance(data, PlannedEvent):
        return ExecutionPlanned(data.campaign_id, org, data.execution_id, _sane(data.shards, "data.shards"))
    return ExecutionEnded(data.campaign_id, org, data.execution_id, _end(data))


def _engaged(data: EngagementClicked | EngagementConverted, event: Envelope[Any]) -> Clicked | Converted:
    contact = reference(data.contact_id)
    if isinstance(data, EngagementClicked):
        at = _moment(data.clicked_at, "data.clickedAt")
        return Clicked(data.campaign_id, event.orgid, contact, reference(event.id), data.message_id, at)
    if not _CURRENCY.fullmatch(data.currency):
        raise MalformedEvent("data.currency: not a currency")
    click = None
    if data.click is not None:
        at = _moment(data.click.clicked_at, "data.click.clickedAt")
        click = ClickTold(at, data.click.message_id)
    return Converted(
        data.campaign_id,
        event.orgid,
        contact,
        reference(data.conversion_id),
        value=_money(data.value),
        currency=data.currency,
        at=_moment(data.converted_at, "data.convertedAt"),
        click=click,
    )


def _money(value: float) -> int:
    """In whole units, of which the decimals as written have no parts."""
    if value > _MOST_MONEY:
        raise MalformedEvent("data.value: out of range")
    return round(Fraction(repr(value)) * MONEY_UNITS)


def _moment(moment: datetime, field: str) -> int:
    milliseconds = _milliseconds(moment)
    if milliseconds < 0:
        raise MalformedEvent(f"{field}: out of range")
    return milliseconds


def _seen(data: CampaignEvent, event: Envelope[Any]) -> CampaignSeen:
    snapshot = data.snapshot if isinstance(data, (CampaignStarted, CampaignResumed)) else None
    deleted = isinstance(data, CampaignDeleted)
    return CampaignSeen(
        data.campaign_id,
        event.orgid,
        name="" if deleted else data.name,
        sequence=_sane(event.sequence or 0, "sequence"),
        deleted=deleted,
        links=tuple(_links(data, snapshot, event.orgid)),
        definition=_definition(data, snapshot),
        messages=_messages(snapshot),
    )


def _definition(data: CampaignEvent, snapshot: ExecutionSnapshot | None) -> Definition | None:
    def of(budget: float | None, audience: AudienceDefinition) -> Definition:
        return Definition(budget, tuple(audience.segments))

    if snapshot is not None:
        return of(snapshot.budget, snapshot.audience)
    if isinstance(data, (CampaignCreated, CampaignUpdated)):
        return of(data.budget, data.audience)
    return None


def _messages(snapshot: ExecutionSnapshot | None) -> Messages | None:
    if snapshot is None:
        return None
    return tuple(
        (message.id, tuple(variation.id for variation in message.variations)) for message in snapshot.messages
    )


def _links(data: CampaignEvent, snapshot: ExecutionSnapshot | None, org: str) -> Iterator[FrozenLink]:
    """Of the messages that an execution begins, or goes on, with."""
    if snapshot is None or data.execution_id is None:
        return
    for message in snapshot.messages:
        for link in links_of(message):
            yield FrozenLink(
                execution=data.execution_id,
                link=link.link_id,
                campaign=data.campaign_id,
                org=org,
                message=link.message_id,
                button=link.button,
                url=link.url,
                test_mode=data.test_mode,
            )


def _end(data: ExecutionCompleted | ExecutionFailed) -> End:
    if isinstance(data, ExecutionCompleted):
        return End(completed=True, at=_milliseconds(data.completed_at), failed=0)
    failed = _sane(data.shards_failed, "data.shardsFailed")
    return End(completed=False, at=_milliseconds(data.failed_at), failed=failed)


def _milliseconds(moment: datetime) -> int:
    """Since the epoch. Events are published with milliseconds; a time without a zone is UTC."""
    return (_aware(moment) - _EPOCH) // timedelta(milliseconds=1)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _window(event: FastDelivery) -> WindowRecorded | None:
    data = event.data
    if data.test_mode:
        return None
    segments = data.segment_ids
    return WindowRecorded(
        campaign=data.campaign_id,
        org=event.orgid,
        execution=data.execution_id,
        shard=_sane(data.shard, "data.shard"),
        window=_sane(data.window, "data.window"),
        shard_completed=data.shard_completed,
        rows=tuple([_row(row, segments) for row in data.tally]),
        recorded_at=_aware(data.recorded_at),
    )


def _row(row: FastTallyRow, segments: Sequence[str]) -> TallyRow:
    outcome = _OUTCOMES.get(row.status)
    if outcome is None:
        raise MalformedEvent("data.tally.status: not an outcome")
    if abs(row.count) > _MOST:
        raise MalformedEvent("data.tally.count: out of range")
    return TallyRow(
        minute=_sane(row.minute, "data.tally.minute"),
        message=row.message_id,
        variation=row.variation_id or "",
        outcome=outcome,
        error=row.error_code or "",
        number=row.count,
        segments=_segments(row.segments, segments) if row.segments else (),
        contacts=references(row.contact_ids) if row.contact_ids else b"",
    )


def _segments(places: Sequence[int], segments: Sequence[str]) -> tuple[str, ...]:
    """The ids at `places`, each once and in one order, so that equal rows are told as equal."""
    if min(places) < 0 or max(places) >= len(segments):
        raise MalformedEvent("data.tally.segments: out of range")
    return tuple(sorted({segments[place] for place in places}))


def _sane(value: int, field: str, most: int = _MOST) -> int:
    if not 0 <= value <= most:
        raise MalformedEvent(f"{field}: out of range")
    return value
