"""Tell campaign-service what an execution would meet: how many contacts, and which bot."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from execution_service.application.ports import Bots, Contacts
from execution_service.domain.bot import Bot


@dataclass(frozen=True, slots=True)
class PreflightQuery:
    """An execution as it is meant. `target_percentage` is 0-100; `bot_id` None means the default bot."""

    org: str
    segments: Sequence[str]
    test_mode: bool
    target_percentage: float
    bot_id: str | None


@dataclass(frozen=True, slots=True)
class Preflight:
    """`total_count` is the whole audience, `targeted` what is left after testers and sampling (estimated)."""

    total_count: int
    targeted: int
    testers: int
    bot: Bot | None


async def preflight(query: PreflightQuery, *, contacts: Contacts, bots: Bots) -> Preflight:
    """Counts and the bot; `bot` is None when there is none or the named one is not the org's."""
    bot = bots.get(query.org, query.bot_id) if query.bot_id else bots.default(query.org)
    total, testers, found = await asyncio.gather(
        contacts.count(query.org, query.segments),
        contacts.count(query.org, query.segments, testers_only=True),
        bot,
    )
    base = testers if query.test_mode else total
    return Preflight(
        total_count=total,
        targeted=round(base * query.target_percentage / 100),
        testers=testers,
        bot=found,
    )
