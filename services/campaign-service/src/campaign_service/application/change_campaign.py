"""Change a campaign and tell of it, in one transaction, against everybody who does so at the same moment.

Mental model: read, decide, then store the new version and its events only if the stored version is still
the one that was read. Who loses reads again and decides again, so a decision is never made on old state.
Whatever a step must ask of others (templates, preflight) it asks before the transaction.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from contracts.envelope import new_event
from contracts.events.campaign import CampaignEvent
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from campaign_service.application.get_campaign import get_campaign
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import PreconditionFailed, VersionConflict

SOURCE = "campaign-service"
ATTEMPTS = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """The campaign as it shall be, the events of its last versions in order, and what the caller learns.

    `erased`: it is told of for the last time, and gone.
    """

    campaign: Campaign
    events: tuple[CampaignEvent, ...]
    answer: T
    erased: bool = False


Step = Callable[[Campaign, datetime], Awaitable[Change[T]]]
"""Decides what becomes of a campaign, at a moment (UTC). Raises ServiceErrors; nothing is stored then."""


async def change_campaign(
    org: str,
    campaign_id: str,
    step: Step[T],
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
    versions: Collection[int] | None = None,
) -> T:
    """The step's answer, once stored; a step that answers the same campaign stores nothing.

    `versions`: those that the caller means to change (None: any). Raises CampaignNotFound,
    PreconditionFailed, VersionConflict (it kept changing), and what the step raises.
    """
    for _ in range(ATTEMPTS):
        before = await get_campaign(org, campaign_id, campaigns=campaigns)
        if versions is not None and before.version not in versions:
            raise PreconditionFailed
        change = await step(before, clock.now())
        if change.campaign is before:
            return change.answer

        async def work(tx: Tx, before: Campaign = before, change: Change[T] = change) -> T:
            await store_change(tx, before, change, campaigns=campaigns, outbox=outbox)
            return change.answer

        try:
            return await transactions.run(work)
        except VersionConflict:
            continue
    raise VersionConflict


async def store_change(
    tx: Tx, before: Campaign, change: Change[T], *, campaigns: Campaigns, outbox: Outbox
) -> None:
    """The writes of a change. Raises VersionConflict when `before` is not what is stored."""
    after = change.campaign
    if change.erased:
        await campaigns.remove(tx, before.org, before.id, expected_version=before.version)
    else:
        await campaigns.save(tx, after, expected_version=before.version)
    first = after.version - len(change.events) + 1
    envelopes = [
        new_event(
            data, source=SOURCE, subject=after.id, org=after.org, time=after.updated_at, sequence=number
        )
        for number, data in enumerate(change.events, start=first)
    ]
    if envelopes:
        await outbox.add(tx, *envelopes)
