"""/bots: the Telegram bots that an organisation sends with. Tokens go in and never come out."""

from fastapi import APIRouter, Response
from pydantic import Field, SecretStr, model_validator
from service_kit.api.app import Admin
from service_kit.api.envelope import Pagination, RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import Name, PathId, ReadOnly
from service_kit.errors import Detail, FieldErrors

from execution_service.application.change_bot import ChangeBot, change_bot
from execution_service.application.delete_bot import delete_bot
from execution_service.application.get_bot import get_bot
from execution_service.application.register_bot import RegisterBot, register_bot
from execution_service.domain.bot import Bot, BotLimits
from execution_service.domain.errors import BotExists, BotInUse, BotNotFound
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.api.deleted import Deleted
from execution_service.entrypoints.api.paging import Limit, Page
from execution_service.entrypoints.errors import answers


class LimitsIn(RequestModel):
    """Messages a second in all, a second to one chat, a minute to one group. Defaults are Telegram's.

    Other Bot API servers allow more, so more may be set; a chat's limit that the bot's own does not let it
    reach is not looked after. `paidPerSecond`: messages a second of campaigns with
    `strategy.allowPaidBroadcast`; 0 forbids them.
    """

    per_second: int = Field(default=30, ge=1, le=100_000)
    per_chat_per_second: int = Field(default=1, ge=1, le=100_000)
    per_group_per_minute: int = Field(default=20, ge=1, le=6_000_000)
    paid_per_second: int = Field(default=1000, ge=0, le=1000)


class BotIn(RequestModel):
    """A new bot. The first of an organisation is its default; `default: true` takes over."""

    name: Name
    token: SecretStr = Field(
        min_length=1, max_length=200, description="As BotFather gave it; checked with Telegram."
    )
    limits: LimitsIn | None = None
    default: bool = False


class LimitsPatch(RequestModel):
    """Limits to change; null is the default again."""

    per_second: int | None = Field(default=None, ge=1, le=100_000)
    per_chat_per_second: int | None = Field(default=None, ge=1, le=100_000)
    per_group_per_minute: int | None = Field(default=None, ge=1, le=6_000_000)
    paid_per_second: int | None = Field(default=None, ge=0, le=1000)

    def changes(self) -> dict[str, int]:
        """By attribute of BotLimits."""
        given = self.model_dump(exclude_unset=True)
        return {name: _DEFAULTS[name] if value is None else value for name, value in given.items()}


_DEFAULTS = LimitsIn().model_dump()


class BotPatch(RequestModel):
    """A JSON Merge Patch: what is left out stays. A new token must be the same Telegram bot's."""

    name: Name | None = None
    token: SecretStr | None = Field(default=None, min_length=1, max_length=200)
    limits: LimitsPatch | None = None
    default: bool | None = None
    id: ReadOnly = None
    telegram_id: ReadOnly = None
    username: ReadOnly = None
    created_at: ReadOnly = None

    @model_validator(mode="after")
    def _nothing_is_emptied(self) -> "BotPatch":
        for name in ("name", "token", "default"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be emptied")
        return self

    def limit_changes(self) -> dict[str, int] | None:
        """Null for all of them makes all of them the defaults."""
        if "limits" not in self.model_fields_set:
            return None
        return self.limits.changes() if self.limits else _DEFAULTS


class LimitsOut(ResponseModel):
    """The limits in force."""

    per_second: int
    per_chat_per_second: int
    per_group_per_minute: int
    paid_per_second: int


class BotOut(ResponseModel):
    """A bot, without its token."""

    id: str
    name: str
    telegram_id: int
    username: str | None
    limits: LimitsOut
    default: bool
    created_at: UtcTime


class BotPage(ResponseModel):
    """A page of bots, oldest first."""

    bots: list[BotOut]
    pagination: Pagination


def bots_router(audience: Audience) -> APIRouter:
    """The routes over `audience`."""
    router = APIRouter(tags=["bots"])
    another_bots_token = FieldErrors(
        "token: belongs to another Telegram bot; register that one",
        details=[Detail("token", "belongs to another Telegram bot; register that one")],
    )

    @router.post(
        "/bots",
        status_code=201,
        operation_id="registerBot",
        response_model=Success[BotOut],
        responses=answers(
            FieldErrors(
                "token: Telegram does not know it", details=[Detail("token", "Telegram does not know it")]
            ),
            BotExists,
        ),
    )
    async def create(body: BotIn, caller: Admin, once: Once) -> Response:
        """Register a bot: Telegram is asked whether the token is good."""
        limits = body.limits or LimitsIn()
        command = RegisterBot(
            org=caller.org,
            name=body.name,
            token=body.token.get_secret_value(),
            limits=BotLimits(
                limits.per_second,
                limits.per_chat_per_second,
                limits.per_group_per_minute,
                limits.paid_per_second,
            ),
            default=body.default,
        )
        return await once(
            lambda transactions: register_bot(
                command,
                bots=audience.bots,
                telegram=audience.telegram,
                transactions=transactions,
                clock=audience.clock,
            ),
            answer=lambda bot: Answer(201, Success(data=_shown(bot))),
        )

    @router.get("/bots", operation_id="listBots")
    async def list_bots(caller: Admin, page: Page = 1, limit: Limit = 20) -> Success[BotPage]:
        """The organisation's bots."""
        rows, total = await audience.bots.page(caller.org, skip=(page - 1) * limit, limit=limit)
        return Success(
            data=BotPage(
                bots=[_shown(row) for row in rows],
                pagination=Pagination.of(page=page, limit=limit, total=total),
            )
        )

    @router.get("/bots/{bot_id}", operation_id="getBot", responses=answers(BotNotFound))
    async def get(bot_id: PathId, caller: Admin) -> Success[BotOut]:
        """One bot."""
        return Success(data=_shown(await get_bot(caller.org, bot_id, bots=audience.bots)))

    @router.put(
        "/bots/{bot_id}", operation_id="updateBot", responses=answers(BotNotFound, another_bots_token)
    )
    async def put(bot_id: PathId, body: BotPatch, caller: Admin) -> Success[BotOut]:
        """Change a bot. Workers follow within seconds."""
        command = ChangeBot(
            org=caller.org,
            bot_id=bot_id,
            name=body.name,
            token=body.token.get_secret_value() if body.token else None,
            limits=body.limit_changes(),
            default=body.default,
        )
        changed = await change_bot(
            command, bots=audience.bots, telegram=audience.telegram, transactions=audience.transactions
        )
        return Success(data=_shown(changed))

    @router.delete("/bots/{bot_id}", operation_id="deleteBot", responses=answers(BotNotFound, BotInUse))
    async def delete(bot_id: PathId, caller: Admin) -> Success[Deleted]:
        """Forget a bot that nothing is sent with; the oldest other one becomes the default if it was that."""
        await delete_bot(
            caller.org,
            bot_id,
            bots=audience.bots,
            use=audience.bot_use,
            transactions=audience.transactions,
        )
        return Success(data=Deleted(message="Bot deleted successfully"))

    return router


def _shown(bot: Bot) -> BotOut:
    limits = bot.limits
    return BotOut(
        id=bot.bot_id,
        name=bot.name,
        telegram_id=bot.telegram_id,
        username=bot.username,
        limits=LimitsOut(
            per_second=limits.per_second,
            per_chat_per_second=limits.per_chat_per_second,
            per_group_per_minute=limits.per_group_per_minute,
            paid_per_second=limits.paid_per_second,
        ),
        default=bot.default,
        created_at=bot.created_at,
    )
