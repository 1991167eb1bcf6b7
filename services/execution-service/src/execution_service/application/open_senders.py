"""The bots that send, with their tokens open, kept for some seconds so that windows do not ask each time."""

import asyncio
from collections.abc import Sequence

from execution_service.application.named_bots import named_bots
from execution_service.application.ports import Bots
from execution_service.application.ports_sending import Sender
from execution_service.domain.bot import Bot
from execution_service.domain.execution import BotRef


class OpenSenders:
    """Bots by organisation and id. A change of token or limit takes effect within `keep_seconds`."""

    def __init__(self, bots: Bots, *, keep_seconds: float) -> None:
        self._bots = bots
        self._keep = keep_seconds
        self._known: dict[tuple[str, str], tuple[float, Sender | None]] = {}

    async def resolve(self, org: str, bot_ids: Sequence[str]) -> tuple[BotRef, ...]:
        """The bots asked for, or the default one; nothing when one of them is missing."""
        bots = await named_bots(org, bot_ids, bots=self._bots)
        found = tuple(_ref(bot) for bot in bots if bot is not None)
        return found if len(found) == len(bots) else ()

    async def open(self, org: str, bot_id: str) -> Sender | None:
        """The bot with its token; None when it is gone. Raises SecretUnreadable."""
        now = asyncio.get_running_loop().time()
        until, known = self._known.get((org, bot_id), (0.0, None))
        if now < until:
            return known
        bot = await self._bots.get(org, bot_id)
        sender = Sender(_ref(bot), self._bots.token(bot), bot.limits) if bot else None
        self._known[org, bot_id] = (now + self._keep, sender)
        return sender


def _ref(bot: Bot) -> BotRef:
    return BotRef(bot.bot_id, bot.telegram_id)
