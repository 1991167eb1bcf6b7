"""Tell campaign-service what an execution would meet: how many contacts, how many skipped, which bots."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.events.campaign import AudienceDefinition

from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import Bots
from execution_service.application.ports_audience import SegmentFilters
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.bot import Bot


@dataclass(frozen=True, slots=True)
class PreflightQuery:
    """An execution as it is meant. `target_percentage` is 0-100; no `bot_ids` mean the default bot."""

    org: str
    audience: AudienceDefinition
    test_mode: bool
    target_percentage: float
    bot_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Preflight:
    """`total_count` is the whole audience, `targeted` what is left after testers and sampling (estimated).

    `suppressed`: how many of the targeted ones would be skipped now, by code; codes of nobody are left out.
    """

    total_count: int
    targeted: int
    testers: int
    suppressed: Mapping[str, int]
    bots: Sequence[Bot]


async def preflight(
    query: PreflightQuery, *, measure: MeasureAudience, segments: SegmentFilters, bots: Bots
) -> Preflight:
    """Counts and the bots: those of the named ones that the org has.

    Raises FieldErrors when the audience cannot be understood.
    """
    rule = await resolve_rule(query.org, query.audience, segments=segments)
    named = [bots.get(query.org, bot_id) for bot_id in query.bot_ids] or [bots.default(query.org)]
    tally, found = await asyncio.gather(measure.current(query.org, rule), asyncio.gather(*named))
    share = query.target_percentage / 100
    suppressed = tally.testers_suppressed if query.test_mode else tally.suppressed
    return Preflight(
        total_count=tally.total,
        targeted=round((tally.testers if query.test_mode else tally.total) * share),
        testers=tally.testers,
        suppressed={code: some for code, count in suppressed.items() if (some := round(count * share))},
        bots=[bot for bot in found if bot is not None],
    )
