"""Change a bot: its name, its limits, its token, and whether it is the default."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service_kit.errors import Detail, FieldErrors
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Bots, TelegramIdentity
from execution_service.application.register_bot import check_token
from execution_service.application.run_again import run_again
from execution_service.domain.bot import Bot, BotIdentity
from execution_service.domain.errors import BotNotFound


@dataclass(frozen=True, slots=True)
class ChangeBot:
    """What is to change; None stays. `limits` by attribute of BotLimits. `token` is in the clear."""

    org: str
    bot_id: str
    name: str | None = None
    token: str | None = field(default=None, repr=False)
    limits: Mapping[str, int] | None = None
    default: bool | None = None


async def change_bot(
    command: ChangeBot, *, bots: Bots, telegram: TelegramIdentity, transactions: Transactions
) -> Bot:
    """Lay the changes over the bot. A new token must be the same Telegram bot's.

    Raises BotNotFound, FieldErrors on `token` or `default`, DependencyDown.
    """
    identity = None
    if command.token is not None:
        if await bots.get(command.org, command.bot_id) is None:
            raise BotNotFound
        identity = await check_token(command.token, telegram=telegram)

    async def work(tx: Tx) -> Bot:
        before = await bots.get(command.org, command.bot_id, tx=tx)
        if before is None:
            raise BotNotFound
        after = _changed(before, command, identity, bots)
        await bots.replace(tx, after)
        return after

    return await run_again(transactions, work)


def _changed(before: Bot, command: ChangeBot, identity: BotIdentity | None, bots: Bots) -> Bot:
    after = replace(
        before, name=command.name or before.name, limits=replace(before.limits, **(command.limits or {}))
    )
    if command.token is not None and identity is not None:
        if identity.telegram_id != before.telegram_id:
            raise _refused("token", "belongs to another Telegram bot; register that one")
        sealed = bots.seal(command.token, org=before.org, bot_id=before.bot_id)
        after = replace(after, token_sealed=sealed, username=identity.username)
    if command.default is False and before.default:
        raise _refused("default", "cannot be taken away: make another bot the default")
    return replace(after, default=before.default or bool(command.default))


def _refused(name: str, rule: str) -> FieldErrors:
    return FieldErrors(f"{name}: {rule}", details=[Detail(name, rule)])
