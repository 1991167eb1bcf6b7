"""Delete a campaign: its definition is erased, and the event says so in the same transaction."""

from collections.abc import Collection

from contracts.envelope import new_event
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import ATTEMPTS, SOURCE
from campaign_service.application.get_campaign import get_campaign
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import PreconditionFailed, VersionConflict


async def delete_campaign(
    org: str,
    campaign_id: str,
    *,
    versions: Collection[int] | None = None,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Erase it. `versions`: those that the client means to delete (None: any).

    Raises CampaignNotFound, PreconditionFailed, InvalidTransition, VersionConflict.
    """
    for _ in range(ATTEMPTS):
        before = await get_campaign(org, campaign_id, campaigns=campaigns)
        if versions is not None and before.version not in versions:
            raise PreconditionFailed
        now = clock.now()
        last = before.delete(now=now)
        event = new_event(
            events.deleted(last, at=now),
            source=SOURCE,
            subject=last.id,
            org=last.org,
            time=now,
            sequence=last.version,
        )

        async def work(tx: Tx, before: Campaign = before, event: object = event) -> None:
            await campaigns.remove(tx, org, campaign_id, expected_version=before.version)
            await outbox.add(tx, event)  # type: ignore[arg-type]

        try:
            return await transactions.run(work)
        except VersionConflict:
            continue
    raise VersionConflict
