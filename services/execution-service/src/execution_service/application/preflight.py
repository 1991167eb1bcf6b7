"""Tell campaign-service what an execution would meet: how many contacts, how many skipped, which bot."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from execution_service.application.ports import Bots, Contacts
from execution_service.domain.audience import AudienceRule
from execution_service.domain.bot import Bot
from execution_service.domain.suppression import SUPPRESSIONS


@dataclass(frozen=True, slots=True)
class PreflightQuery:
    """An execution as it is meant. `target_percentage` is 0-100; `bot_id` None means the default bot."""

    org: str
    audience: AudienceRule
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


async def preflight(query: PreflightQuery, *, contacts: Contacts, bots: Bots) -> Preflight:
    """Counts and the bot; `bot` is None when there is none or the named one is not the org's."""
    bot = bots.get(query.org, query.bot_id) if query.bot_id else bots.default(query.org)
    share = query.target_percentage / 100
    total, testers, suppressed, found = await asyncio.gather(
        contacts.count(query.org, query.audience),
        contacts.count(query.org, query.audience, testers_only=True),
        _suppressed(query, contacts),
        bot,
    )
    return Preflight(
        total_count=total,
        targeted=round((testers if query.test_mode else total) * share),
        testers=testers,
        suppressed={code: some for code, count in suppressed.items() if (some := round(count * share))},
        bot=found,
    )


async def _suppressed(query: PreflightQuery, contacts: Contacts) -> dict[str, int]:
    """Before sampling, by code."""
    return {
        code: await contacts.count(query.org, query.audience, testers_only=query.test_mode, suppressed=code)
        for code in SUPPRESSIONS
    }
