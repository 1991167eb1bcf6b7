"""Change a segment, or delete one that no campaign needs any more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.ports import AudienceMarks, Segments, SegmentUse
from execution_service.application.segments import segment_changed
from execution_service.domain.errors import SegmentInUse, SegmentNotFound
from execution_service.domain.segment import Segment, changed, next_revision


@dataclass(frozen=True, slots=True)
class ChangeSegment:
    """What is to change; None stays. `filters`, if `filters_given`, take the place of those that are there:
    None would make it a list of members."""

    org: str
    segment_id: str
    name: str | None = None
    description: str | None = None
    filters: Mapping[str, object] | None = None
    filters_given: bool = False


async def change_segment(
    command: ChangeSegment,
    *,
    segments: Segments,
    outbox: Outbox,
    marks: AudienceMarks,
    transactions: Transactions,
    clock: Clock,
) -> Segment:
    """Lay the changes over the segment, tell of it, and have its audiences counted again.

    Raises SegmentNotFound, FieldErrors (also when it is to become what it is not: list or filter).
    """

    async def work(tx: Tx) -> Segment:
        before = await segments.get(command.org, command.segment_id, tx=tx)
        if before is None:
            raise SegmentNotFound
        after = changed(
            before,
            name=before.name if command.name is None else command.name,
            description=before.description if command.description is None else command.description,
            filters=command.filters if command.filters_given else before.filters,
            now=clock.now(),
        )
        if after is not before:
            await segments.replace(tx, after)
            await outbox.add(tx, segment_changed(after))
            if after.filters is not None:
                await marks.add(tx, after.org)
        return after

    return await transactions.run(work)


async def delete_segment(
    org: str,
    segment_id: str,
    *,
    segments: Segments,
    use: SegmentUse,
    outbox: Outbox,
    transactions: Transactions,
    clock: Clock,
) -> None:
    """Forget the segment's name and filters, and tell of it.

    Contacts go on naming its id: membership is theirs. Raises SegmentNotFound, SegmentInUse.
    """

    async def work(tx: Tx) -> None:
        segment = await segments.get(org, segment_id, tx=tx)
        if segment is None:
            raise SegmentNotFound
        campaign_id = await use.naming(tx, org, segment_id)
        if campaign_id is not None:
            raise SegmentInUse(
                f"campaign {campaign_id} names this segment: change it, let it end, or cancel it"
            )
        now = clock.now()
        gone = replace(segment, updated_at=now, revision=next_revision(now, segment.revision))
        await segments.remove(tx, segment)
        await outbox.add(tx, segment_changed(gone, deleted=True))

    await transactions.run(work)
