"""Show a bot."""

from execution_service.application.ports import Bots
from execution_service.domain.bot import Bot
from execution_service.domain.errors import BotNotFound


async def get_bot(org: str, bot_id: str, *, bots: Bots) -> Bot:
    """The bot. Raises BotNotFound."""
    found = await bots.get(org, bot_id)
    if found is None:
        raise BotNotFound
    return found
