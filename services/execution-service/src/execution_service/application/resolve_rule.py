"""What a campaign's audience means: the one place where its segments' own filters come in."""

from contracts.events.campaign import AudienceDefinition

from execution_service.application.ports_audience import SegmentFilters
from execution_service.domain.audience import AudienceRule, read_rule


async def resolve_rule(org: str, audience: AudienceDefinition, *, segments: SegmentFilters) -> AudienceRule:
    """The rule as the segments are now. Raises FieldErrors."""
    named = [*audience.segments, *audience.exclude_segments]
    dynamic = await segments.filters_of(org, named) if named else {}
    return read_rule(audience.segments, audience.filters, audience.exclude_segments, dynamic)
