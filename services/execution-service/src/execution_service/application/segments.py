"""Make, show and list segments."""

from dataclasses import dataclass

from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Contacts, Segments
from execution_service.domain.audience import AudienceRule
from execution_service.domain.errors import SegmentNotFound
from execution_service.domain.segment import Segment


@dataclass(frozen=True, slots=True)
class CreateSegment:
    """A new segment; `segment_id` None gets one of ours."""

    org: str
    segment_id: str | None
    name: str
    description: str


async def create_segment(
    command: CreateSegment,
    *,
    segments: Segments,
    contacts: Contacts,
    transactions: Transactions,
    clock: Clock,
) -> tuple[Segment, int]:
    """Store the segment; how many contacts are in it, for they may name its id before it exists.

    Raises SegmentExists.
    """
    now = clock.now()
    segment = Segment(
        org=command.org,
        segment_id=command.segment_id or new_id("seg"),
        name=command.name,
        description=command.description,
        created_at=now,
        updated_at=now,
    )
    count = await contacts.count(command.org, AudienceRule((segment.segment_id,)))

    async def work(tx: Tx) -> tuple[Segment, int]:
        await segments.insert(tx, segment)
        return segment, count

    return await transactions.run(work)


async def get_segment(
    org: str, segment_id: str, *, segments: Segments, contacts: Contacts
) -> tuple[Segment, int]:
    """The segment and how many contacts are in it. Raises SegmentNotFound."""
    segment = await segments.get(org, segment_id)
    if segment is None:
        raise SegmentNotFound
    return segment, await contacts.count(org, AudienceRule((segment_id,)))
