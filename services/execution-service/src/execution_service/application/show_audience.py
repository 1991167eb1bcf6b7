"""How large a campaign's audience is now, and who of it would be skipped."""

from dataclasses import replace

from service_kit.clock import Clock
from service_kit.errors import FieldErrors

from execution_service.application.await_young import await_young
from execution_service.application.count_capped import CountCapped
from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import CampaignAudiences
from execution_service.application.ports_audience import SegmentFilters
from execution_service.application.ports_settings import StoredSettings
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import Tally
from execution_service.domain.errors_engine import CampaignNotFound


class ShowAudience:
    """Counts campaigns. `wait_seconds`: how long to wait for one that was created just now."""

    def __init__(
        self,
        *,
        campaigns: CampaignAudiences,
        segments: SegmentFilters,
        measure: MeasureAudience,
        capped: CountCapped,
        settings: StoredSettings,
        clock: Clock,
        wait_seconds: float,
    ) -> None:
        self._campaigns = campaigns
        self._segments = segments
        self._measure = measure
        self._capped = capped
        self._settings = settings
        self._clock = clock
        self._wait = wait_seconds

    async def audience(self, org: str, campaign_id: str) -> Tally:
        """Its audience as it is now. Raises CampaignNotFound.

        Filters that cannot be understood mean nobody here, as in the estimate; such a campaign cannot start.
        """
        definition = await await_young(
            campaign_id,
            lambda: self._campaigns.audience_of(org, campaign_id),
            clock=self._clock,
            seconds=self._wait,
        )
        if definition is None:
            raise CampaignNotFound
        try:
            rule = await resolve_rule(org, definition, segments=self._segments)
        except FieldErrors:
            rule = AudienceRule(segments=(), excluded=())
        tally, cap = await self._measure.current(org, rule), (await self._settings.of(org)).frequency_cap
        if cap is None or not tally.total:
            return tally
        capped = await self._capped(org, rule, cap, now=self._clock.now())
        return replace(tally, suppressed={**tally.suppressed, "FREQUENCY_CAP": capped})
