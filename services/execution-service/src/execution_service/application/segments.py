"""Make, show and list segments."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.envelope import Envelope, new_event
from contracts.events.audience import SegmentChanged
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import AudienceMarks, Segments
from execution_service.domain.audience import read_rule
from execution_service.domain.errors import SegmentNotFound
from execution_service.domain.segment import Segment, check_filters, next_revision

SOURCE = "execution-service"


@dataclass(frozen=True, slots=True)
class CreateSegment:
    """A new segment; `segment_id` None gets one of ours, `filters` make it dynamic."""

    org: str
    segment_id: str | None
    name: str
    description: str
    filters: Mapping[str, object] | None = None


async def create_segment(
    command: CreateSegment,
    *,
    segments: Segments,
    measure: MeasureAudience,
    outbox: Outbox,
    marks: AudienceMarks,
    transactions: Transactions,
    clock: Clock,
) -> tuple[Segment, int]:
    """Store the segment; how many contacts are in it, for they may name its id before it exists.

    Raises SegmentExists, FieldErrors.
    """
    check_filters(command.filters)
    now = clock.now()
    segment = Segment(
        org=command.org,
        segment_id=command.segment_id or new_id("seg"),
        name=command.name,
        description=command.description,
        created_at=now,
        updated_at=now,
        filters=command.filters,
        revision=next_revision(now),
    )
    count = await _count(segment, measure)

    async def work(tx: Tx) -> tuple[Segment, int]:
        await segments.insert(tx, segment)
        await outbox.add(tx, segment_changed(segment))
        if segment.filters is not None:
            await marks.add(tx, segment.org)
        return segment, count

    return await transactions.run(work)


async def get_segment(
    org: str, segment_id: str, *, segments: Segments, measure: MeasureAudience
) -> tuple[Segment, int]:
    """The segment and how many contacts are in it. Raises SegmentNotFound."""
    segment = await segments.get(org, segment_id)
    if segment is None:
        raise SegmentNotFound
    return segment, await _count(segment, measure)


async def _count(segment: Segment, measure: MeasureAudience) -> int:
    segments = (segment.segment_id,) if segment.filters is None else ()
    rule = read_rule(segments, segment.filters, ())
    return (await measure.current(segment.org, rule)).total


def segment_changed(segment: Segment, *, deleted: bool = False) -> Envelope[SegmentChanged]:
    """The event that tells of the segment as it is now."""
    data = SegmentChanged(
        segment_id=segment.segment_id,
        name=segment.name,
        revision=segment.revision,
        changed_at=segment.updated_at,
        deleted=deleted,
    )
    return new_event(
        data,
        source=SOURCE,
        subject=f"{segment.org}/{segment.segment_id}",
        org=segment.org,
        time=segment.updated_at,
        sequence=segment.revision,
    )
