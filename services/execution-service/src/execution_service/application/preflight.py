"""Tell campaign-service what an execution would meet: how many contacts, how many skipped, which bots."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.events.campaign import AudienceDefinition, Retry

from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.named_bots import named_bots
from execution_service.application.ports import Bots
from execution_service.application.ports_audience import SegmentFilters
from execution_service.application.resolve_rule import resolve_rule
from execution_service.application.retried_contacts import RetriedContacts
from execution_service.domain.audience import AudienceRule
from execution_service.domain.bot import Bot

SAMPLED_EXACTLY = 20_000
"""Of so many contacts a sample is counted by hashing each, in some 30 ms; of more it is estimated."""


@dataclass(frozen=True, slots=True)
class PreflightQuery:
    """An execution as it is meant. `target_percentage` is 0-100; no `bot_ids` mean the default bot.

    `sampling_seed` is the campaign's. `retry`: not for the audience, but for those of earlier runs.
    """

    org: str
    audience: AudienceDefinition
    test_mode: bool
    target_percentage: float
    sampling_seed: str
    bot_ids: Sequence[str]
    retry: Retry | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    """`total_count` is the whole audience, `targeted` what is left after testers and sampling
    (beyond SAMPLED_EXACTLY contacts estimated: then a sample is the percentage of them).
    Of a retry both are those whom it finds.

    `suppressed`: how many of the targeted ones would be skipped now, by code; codes of nobody are left out.
    """

    total_count: int
    targeted: int
    testers: int
    suppressed: Mapping[str, int]
    bots: Sequence[Bot]


async def preflight(
    query: PreflightQuery,
    *,
    measure: MeasureAudience,
    segments: SegmentFilters,
    bots: Bots,
    retried: RetriedContacts,
) -> Preflight:
    """Counts and the bots: those of the named ones that the org has.

    Raises FieldErrors when the audience cannot be understood.
    """
    if query.retry is not None:
        count = await retried.count(query.retry)
        return Preflight(count, count, testers=0, suppressed={}, bots=await _bots(query, bots))
    rule = await resolve_rule(query.org, query.audience, segments=segments)
    tally, found = await asyncio.gather(measure.current(query.org, rule), _bots(query, bots))
    base = tally.testers if query.test_mode else tally.total
    suppressed = tally.testers_suppressed if query.test_mode else tally.suppressed
    if query.target_percentage < 100:
        base, suppressed = await _sampled(query, rule, base, suppressed, measure)
    return Preflight(
        total_count=tally.total,
        targeted=base,
        testers=tally.testers,
        suppressed={code: count for code, count in suppressed.items() if count},
        bots=found,
    )


async def _bots(query: PreflightQuery, bots: Bots) -> list[Bot]:
    return [bot for bot in await named_bots(query.org, query.bot_ids, bots=bots) if bot is not None]


async def _sampled(
    query: PreflightQuery,
    rule: AudienceRule,
    base: int,
    suppressed: Mapping[str, int],
    measure: MeasureAudience,
) -> tuple[int, Mapping[str, int]]:
    """What sampling leaves of `base` contacts and of the suppressed among them."""
    if base <= SAMPLED_EXACTLY:
        return await measure.sample(
            query.org,
            rule,
            testers_only=query.test_mode,
            seed=query.sampling_seed,
            percentage=query.target_percentage,
        )
    share = query.target_percentage / 100
    return round(base * share), {code: round(count * share) for code, count in suppressed.items()}
