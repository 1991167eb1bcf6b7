"""Register a Telegram bot."""

from dataclasses import dataclass, field

from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.errors import Detail, FieldErrors
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Bots, TelegramIdentity
from execution_service.application.run_again import run_again
from execution_service.domain.bot import TOKEN, Bot, BotIdentity, BotLimits


@dataclass(frozen=True, slots=True)
class RegisterBot:
    """A bot to be. `token` is in the clear, and never part of a representation."""

    org: str
    name: str
    token: str = field(repr=False)
    limits: BotLimits
    default: bool


async def register_bot(
    command: RegisterBot,
    *,
    bots: Bots,
    telegram: TelegramIdentity,
    transactions: Transactions,
    clock: Clock,
) -> Bot:
    """Check the token with Telegram, then store the bot.

    Raises FieldErrors on `token`, BotExists, DependencyDown.
    """
    identity = await check_token(command.token, telegram=telegram)
    bot_id = new_id("bot")
    bot = Bot(
        bot_id=bot_id,
        org=command.org,
        name=command.name,
        telegram_id=identity.telegram_id,
        username=identity.username,
        token_sealed=bots.seal(command.token, org=command.org, bot_id=bot_id),
        limits=command.limits,
        default=command.default,
        created_at=clock.now(),
    )

    async def work(tx: Tx) -> Bot:
        return await bots.insert(tx, bot)

    return await run_again(transactions, work)


async def check_token(token: str, *, telegram: TelegramIdentity) -> BotIdentity:
    """Whose token it is. Raises FieldErrors on `token`, DependencyDown."""
    if not TOKEN.fullmatch(token):
        raise _refused("is not a bot token: digits, a colon, then letters, digits, _ and -")
    identity = await telegram.get_me(token)
    if identity is None:
        raise _refused("is refused by Telegram")
    return identity


def _refused(rule: str) -> FieldErrors:
    return FieldErrors(f"token: {rule}", details=[Detail("token", rule)])
