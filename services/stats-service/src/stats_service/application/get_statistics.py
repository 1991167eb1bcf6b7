"""Answer a campaign's statistics."""

from datetime import timedelta

from contracts.ids import created_at
from service_kit.clock import Clock

from stats_service.application.ports import Campaigns, Pause, TotalsReader
from stats_service.domain.errors import CampaignNotFound
from stats_service.domain.numbers import Overview, Performance, overview, performance

YOUNG = timedelta(seconds=10)
PATIENCE = timedelta(seconds=2)
LOOK_AGAIN_SECONDS = 0.05


async def get_statistics(
    campaign: str,
    *,
    org: str,
    deleted_too: bool,
    campaigns: Campaigns,
    numbers: TotalsReader,
    clock: Clock,
    pause: Pause,
) -> tuple[Overview, Performance]:
    """The totals and rates of `campaign`; `deleted_too`: also when it has been deleted.

    Raises CampaignNotFound, also for another organisation's. A campaign is known here some milliseconds
    after it was created, so an id whose own timestamp is young is waited for.
    """
    started = clock.now()
    made = created_at(campaign)
    young = made is not None and abs(started - made) < YOUNG
    owner = await campaigns.owner_of(campaign)
    while owner is None and young and clock.now() - started < PATIENCE:
        await pause(LOOK_AGAIN_SECONDS)
        owner = await campaigns.owner_of(campaign)
    if owner is None or owner.org != org or (owner.deleted and not deleted_too):
        raise CampaignNotFound
    totals = overview(await numbers.totals(campaign))
    return totals, performance(totals)
