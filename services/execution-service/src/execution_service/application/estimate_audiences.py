"""Keep every open campaign's audience counted.

Mental model: a mark becomes visible together with the change it tells of (of campaigns, of segments'
filters, or of the index: contacts count once they are folded into it), so a count that starts after
the mark was read includes the change, and only then the mark is removed. A count is stored only if
nobody stored another since the campaign was read: an old count never overwrites a newer one; when that
happens the marks stay and the next turn counts again.
"""

from collections.abc import Mapping, Sequence

from contracts.envelope import Envelope, new_event
from contracts.events.audience import AudienceEstimated
from contracts.events.campaign import AudienceDefinition
from service_kit.clock import Clock
from service_kit.errors import FieldErrors
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import AudienceMarks, CampaignAudience, CampaignAudiences
from execution_service.application.ports_audience import SegmentFilters
from execution_service.domain.audience import AudienceRule, read_rule

log = get_logger()
SOURCE = "execution-service"
MARKS_AT_ONCE = 1000
CAMPAIGNS_AT_ONCE = 100


async def estimate_audiences(
    *,
    marks: AudienceMarks,
    campaigns: CampaignAudiences,
    segments: SegmentFilters,
    measure: MeasureAudience,
    outbox: Outbox,
    transactions: Transactions,
    clock: Clock,
) -> int:
    """Count the audiences of organisations with marks, announce what changed; how many marks were settled."""
    pending = await marks.read(MARKS_AT_ONCE)
    settled = 0
    for org in dict.fromkeys(mark.org for mark in pending):
        counting = _Counting(org, campaigns, segments, measure, outbox, transactions, clock)
        if await counting.run():
            mine = [mark for mark in pending if mark.org == org]
            await marks.remove(mine)
            settled += len(mine)
    return settled


class _Counting:
    """One pass over one org."""

    def __init__(
        self, org: str, campaigns: CampaignAudiences, segments: SegmentFilters, measure: MeasureAudience,
        outbox: Outbox, transactions: Transactions, clock: Clock,
    ) -> None:  # fmt: skip
        self._org = org
        self._campaigns = campaigns
        self._segments = segments
        self._measure = measure
        self._outbox = outbox
        self._transactions = transactions
        self._clock = clock

    async def run(self) -> bool:
        """Whether every campaign is counted now; False when another counter came between."""
        after_id, complete = "", True
        while some := await self._campaigns.counted(self._org, after_id=after_id, limit=CAMPAIGNS_AT_ONCE):
            complete &= await self._store(some)
            after_id = some[-1].campaign_id
        return complete

    async def _store(self, some: Sequence[CampaignAudience]) -> bool:
        changed: dict[str, tuple[int, int]] = {}
        for campaign, count in zip(some, await self._count(some), strict=True):
            if count != campaign.total_count:
                changed[campaign.campaign_id] = (campaign.revision, count)
        if not changed:
            return True

        async def work(tx: Tx) -> int:
            stored = await self._campaigns.set_counts(tx, changed)
            await self._outbox.add(tx, *(self._event(key, changed[key][1]) for key in stored))
            return len(stored)

        return await self._transactions.run(work) == len(changed)

    async def _count(self, some: Sequence[CampaignAudience]) -> list[int]:
        named = {
            segment: None
            for campaign in some
            for segment in (*campaign.audience.segments, *campaign.audience.exclude_segments)
        }
        dynamic = await self._segments.filters_of(self._org, list(named)) if named else {}
        rules = [self._rule(campaign.audience, dynamic) for campaign in some]
        return [tally.total for tally in await self._measure.tallies(self._org, rules)]

    def _rule(
        self, audience: AudienceDefinition, dynamic: Mapping[str, Mapping[str, object]]
    ) -> AudienceRule:
        try:
            return read_rule(audience.segments, audience.filters, audience.exclude_segments, dynamic)
        except FieldErrors as error:
            # Such a campaign cannot be started either; it must not keep the others from being counted.
            log.warning("audience.not_understood", org=self._org, reason=error.message)
            return AudienceRule()

    def _event(self, campaign_id: str, count: int) -> Envelope[AudienceEstimated]:
        now = self._clock.now()
        data = AudienceEstimated(campaign_id=campaign_id, total_count=count, estimated_at=now)
        return new_event(data, source=SOURCE, subject=campaign_id, org=self._org, time=now)
