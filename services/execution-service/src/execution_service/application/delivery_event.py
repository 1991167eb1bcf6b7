"""`delivery.recorded`: what one window tells of its outcomes, tallied.

A row is a minute, message, variation, result and set of segments. So a window has a few rows for a few
segments, and one for each contact at most: TOLD_AT_ONCE contacts with a hundred segments each, all of them
retried, make less than half of the megabyte that a message may have.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from contracts.envelope import Envelope, new_event
from contracts.events.delivery import DeliveryRecorded, TallyRow

from execution_service.application.counts import former_of
from execution_service.application.finish_execution import SOURCE
from execution_service.application.ports_engine import ShardLease, Window
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import Final
from execution_service.domain.retrying import Former

TOLD_AT_ONCE = 500
"""Contacts in a window of an execution with segments, at most."""


def delivery_recorded(
    execution: Execution,
    lease: ShardLease,
    window: Window,
    finals: Sequence[Final],
    *,
    shard_completed: bool,
    at: datetime,
) -> Envelope[DeliveryRecorded]:
    """The event of one window."""
    tally, reached = _tally(lease, window, finals)
    rows = [(row, count) for row, count in tally.items() if count]
    places: dict[str, int] = {}
    for row, _ in rows:
        for segment in row.segments:
            places.setdefault(segment, len(places))
    data = DeliveryRecorded(
        campaign_id=lease.campaign_id,
        execution_id=lease.execution_id,
        test_mode=execution.test_mode,
        shard=lease.number,
        window=window.number,
        step=window.step,
        shard_completed=shard_completed,
        segment_ids=list(places),
        tally=[_row(row, count, places, reached.get(row, [])) for row, count in rows],
        recorded_at=at,
    )
    return new_event(
        data,
        source=SOURCE,
        subject=lease.campaign_id,
        org=lease.org,
        time=at,
        event_id=f"{lease.execution_id}:{lease.number}:{window.number}",
    )


def _tally(
    lease: ShardLease, window: Window, finals: Sequence[Final]
) -> tuple[Counter[Former], Mapping[Former, list[str]]]:
    """The outcomes, in a retry's first step less the former ones of the same contacts; whom they reached.

    What had arrived is never retried, so nobody is taken back from those reached.
    """
    tally: Counter[Former] = Counter()
    reached: dict[Former, list[str]] = {}
    for final in finals:
        row = Former.of(final, window.message_id)
        tally[row] += 1
        if final.status == "successful":
            reached.setdefault(row, []).append(lease.contacts[final.position])
        former = former_of(lease, final.position)
        if former is not None:
            tally[former] -= 1
    return tally, reached


def _row(row: Former, count: int, places: Mapping[str, int], reached: list[str]) -> TallyRow:
    return TallyRow(
        minute=row.minute,
        message_id=row.message_id,
        variation_id=row.variation_id,
        status=row.status,
        error_code=row.code,
        count=count,
        segments=[places[segment] for segment in row.segments],
        contact_ids=reached,
    )
