"""Delete a bot that nothing is sent with."""

from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Bots, BotUse
from execution_service.application.run_again import run_again
from execution_service.domain.errors import BotInUse, BotNotFound


async def delete_bot(org: str, bot_id: str, *, bots: Bots, use: BotUse, transactions: Transactions) -> None:
    """Forget the bot and its token. If it was the default, the oldest of the others is.

    An execution that takes it at this very moment fails for want of it. Raises BotNotFound, BotInUse.
    """

    async def work(tx: Tx) -> None:
        found = await bots.get(org, bot_id, tx=tx)
        if found is None:
            raise BotNotFound
        campaign_id = await use.using(tx, org, bot_id)
        if campaign_id is not None:
            raise BotInUse(f"campaign {campaign_id} is being sent with this bot: let it end, or cancel it")
        await bots.remove(tx, found)

    await run_again(transactions, work)
