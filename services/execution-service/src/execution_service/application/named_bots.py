"""The bots that a campaign names, or the one that stands for none."""

import asyncio
from collections.abc import Sequence

from execution_service.application.ports import Bots
from execution_service.domain.bot import Bot


async def named_bots(org: str, bot_ids: Sequence[str], *, bots: Bots) -> list[Bot | None]:
    """One for each id, or the organisation's default one; None where there is no such bot."""
    return await asyncio.gather(*([bots.get(org, bot_id) for bot_id in bot_ids] or [bots.default(org)]))
