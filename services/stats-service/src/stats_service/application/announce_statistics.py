"""Tell the others of a campaign's numbers, the last state always, but not more often than they can use."""

from datetime import timedelta

from contracts.envelope import new_event
from contracts.events.statistics import CampaignStatistics, StatisticsUpdated
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from stats_service.application.ports import Announced, Announcements, Prices
from stats_service.domain.dimensions import Metric
from stats_service.domain.numbers import cost_of
from stats_service.domain.states import Task

SOURCE = "stats-service"


async def announce_statistics(
    *,
    transactions: Transactions,
    announcements: Announcements,
    prices: Prices,
    outbox: Outbox,
    clock: Clock,
    every_seconds: float,
    limit: int,
) -> int:
    """Announce up to `limit` campaigns whose numbers moved; how many were.

    A campaign is announced at most once in `every_seconds`, however many replicas do this: taking the
    mark off and the event are one transaction. Numbers that move afterwards set the mark again, and so does
    another price, for all campaigns of its organisation.
    """
    now = clock.now()
    told = 0
    for campaign in await announcements.due(now - timedelta(seconds=every_seconds), limit):

        async def work(tx: Tx, campaign: str = campaign) -> bool:
            taken = await announcements.take(tx, campaign, now)
            if taken is None:
                return False
            await outbox.add(
                tx,
                new_event(
                    StatisticsUpdated(
                        campaign_id=campaign,
                        revision=taken.revision,
                        statistics=_statistics(taken),
                        updated_at=now,
                    ),
                    source=SOURCE,
                    subject=campaign,
                    org=taken.org,
                    time=now,
                    event_id=f"{campaign}:statistics:{taken.revision}",
                ),
            )
            return True

        told += await transactions.run(work)
    # Last: what one organisation's price has to mark keeps nobody else's campaigns waiting.
    for price in await prices.changed(limit):
        await prices.spread(price)
    return told


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
