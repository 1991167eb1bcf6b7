"""Tell the others of a campaign's numbers, the last state always, but not more often than they can use.

Mental model: what is due is a list, cut into pieces of some campaigns, each a transaction: small ones, for
the fold wants the same rows. All replicas cut alike and go through the pieces in orders of their own. So
they seldom want the same one at the same time, and one that another has told costs a single reading.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from contracts.envelope import AnyEvent, new_event
from contracts.events.statistics import CampaignStatistics, StatisticsUpdated
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from stats_service.application.ports import Announced, Announcements, Prices
from stats_service.domain.dimensions import Metric
from stats_service.domain.numbers import cost_of
from stats_service.domain.states import Task

SOURCE = "stats-service"
WORKERS = 2
"""A piece that is in somebody's way, and waits, holds up no others."""


async def announce_statistics(
    *,
    transactions: Transactions,
    announcements: Announcements,
    prices: Prices,
    outbox: Outbox,
    clock: Clock,
    every_seconds: float,
    limit: int,
    at_once: int,
) -> int:
    """Announce up to `limit` campaigns whose numbers moved, `at_once` in a transaction; how many were.

    A campaign is announced at most once in `every_seconds`, however many replicas do this: taking the
    mark off and the event are one transaction. Numbers that move afterwards set the mark again, and so does
    another price, for all campaigns of its organisation.

    What a piece raises ends its worker alone; it is raised when the others have come to their end.
    """
    every = timedelta(seconds=every_seconds)

    async def tell(campaigns: Sequence[str]) -> int:
        async def work(tx: Tx) -> int:
            now = clock.now()
            taken = await announcements.take(tx, campaigns, now, before=now - every)
            if taken:
                await outbox.add(tx, *[_announcement(one, now) for one in taken])
            return len(taken)

        return await transactions.run(work)

    async def tell_all(pieces: Iterator[Sequence[str]]) -> int:
        return sum([await tell(piece) for piece in pieces])

    due = await announcements.due(clock.now() - every, limit)
    pieces = [due[at : at + at_once] for at in range(0, len(due), at_once)]
    random.shuffle(pieces)
    rest = iter(pieces)
    told = await asyncio.gather(*[tell_all(rest) for _ in range(WORKERS)], return_exceptions=True)
    for number in told:
        if isinstance(number, BaseException):
            raise number
    # Last: what one organisation's price has to mark keeps nobody else's campaigns waiting.
    for price in await prices.changed(limit):
        await prices.spread(price)
    return sum(number for number in told if isinstance(number, int))


def _announcement(taken: Announced, now: datetime) -> AnyEvent:
    return new_event(
        StatisticsUpdated(
            campaign_id=taken.campaign,
            revision=taken.revision,
            statistics=_statistics(taken),
            updated_at=now,
        ),
        source=SOURCE,
        subject=taken.campaign,
        org=taken.org,
        time=now,
        event_id=f"{taken.campaign}:statistics:{taken.revision}",
    )


def _statistics(taken: Announced) -> CampaignStatistics:
    def total(metric: str) -> int:
        return max(taken.totals.get(metric, 0), 0)

    return CampaignStatistics(
        total_tasks=total(Task.TOTAL),
        completed_tasks=total(Task.COMPLETED),
        failed_tasks=total(Task.FAILED),
        messages_sent=total(Metric.SENT),
        conversions_achieved=total(Metric.CONVERTED),
        total_cost=cost_of(total(Metric.SENT), taken.cost_per_message),
    )
