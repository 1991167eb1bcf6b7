"""Clone a campaign: a new draft with the same definition and the same sampling seed.

The seed is kept so that a sample of the copy addresses the people whom the original's would.
"""

from dataclasses import dataclass, replace

from contracts.envelope import new_event
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import SOURCE
from campaign_service.application.get_campaign import get_campaign
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.copy_names import copy_names

NAMES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class CloneCampaign:
    """The command. `name` None: the original's with "(Copy)"."""

    name: str | None = None
    reset_statistics: bool = True


async def clone_campaign(
    org: str,
    campaign_id: str,
    command: CloneCampaign,
    *,
    created_by: str,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Campaign:
    """The new draft. Raises CampaignNotFound."""
    original = await get_campaign(org, campaign_id, campaigns=campaigns)
    name = command.name or await _free_name(original, campaigns=campaigns)
    now = clock.now()
    copy = Campaign(
        id=new_id("camp"),
        org=org,
        version=1,
        status="draft",
        definition=replace(original.definition, name=name),
        sampling_seed=original.sampling_seed,
        created_by=created_by,
        created_at=now,
        updated_at=now,
        total_count=original.total_count,
        baseline=None if command.reset_statistics else original.shown_statistics,
    )
    event = new_event(
        events.created(copy), source=SOURCE, subject=copy.id, org=org, time=now, sequence=copy.version
    )

    async def work(tx: Tx) -> Campaign:
        await campaigns.add(tx, copy)
        await outbox.add(tx, event)
        return copy

    return await transactions.run(work)


async def _free_name(original: Campaign, *, campaigns: Campaigns) -> str:
    """The first of "(Copy)", "(Copy 2)", … that no campaign has now; names may repeat, so no lock."""
    start = 1
    while True:
        names = copy_names(original.definition.name, start=start, count=NAMES_AT_ONCE)
        taken = await campaigns.taken_names(original.org, names)
        free = next((name for name in names if name not in taken), None)
        if free is not None:
            return free
        start += NAMES_AT_ONCE
