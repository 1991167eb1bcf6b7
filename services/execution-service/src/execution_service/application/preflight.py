"""Tell campaign-service what an execution would meet: how many contacts, how many skipped, which bot."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.events.campaign import AudienceDefinition

from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import Bots
from execution_service.application.ports_audience import SegmentFilters
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.bot import Bot


@dataclass(frozen=True, slots=True)
class PreflightQuery:
    """An execution as it is meant. `target_percentage` is 0-100; `bot_id` None means the default bot."""

    org: str
    audience: AudienceDefinition
    test_mode: bool
    target_percentage: float
    bot_id: str | None


@dataclass(frozen=True, slots=True)
class Preflight:
    """`total_count` is the whole audience, `targeted` what is left after testers and sampling (estimated).

    `suppressed`: how many of the targeted ones would be skipped now, by code; codes of nobody are left out.
    """

    total_count: int
    targeted: int
    testers: int
    suppressed: Mapping[str, int]
    bot: Bot | None


async def preflight(
    query: PreflightQuery, *, measure: MeasureAudience, segments: SegmentFilters, bots: Bots
) -> Preflight:
    """Counts and the bot; `bot` is None when there is none or the named one is not the org's.

    Raises FieldErrors when the audience cannot be understood.
    """
    rule = await resolve_rule(query.org, query.audience, segments=segments)
    bot = bots.get(query.org, query.bot_id) if query.bot_id else bots.default(query.org)
    tally, found = await asyncio.gather(measure.current(query.org, rule), bot)
    share = query.target_percentage / 100
    suppressed = tally.testers_suppressed if query.test_mode else tally.suppressed
    return Preflight(
        total_count=tally.total,
        targeted=round((tally.testers if query.test_mode else tally.total) * share),
        testers=tally.testers,
        suppressed={code: some for code, count in suppressed.items() if (some := round(count * share))},
        bot=found,
    )
