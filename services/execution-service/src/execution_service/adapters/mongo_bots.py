"""Bots in MongoDB: `bots` {_id: bot_…, org, name, telegramId, username, tokenSealed, limits, createdAt} and
`bot_defaults` {_id: org, botId}: one pointer per organisation, so that two defaults cannot exist.
"""

from dataclasses import replace

from pymongo.errors import DuplicateKeyError
from service_kit.crypto import SecretBox
from service_kit.mongo.client import Database, Document, Session
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports import Collision
from execution_service.domain.bot import Bot, BotLimits, token_owner
from execution_service.domain.errors import BotExists


class MongoBots:
    """Bots of all organisations in `database`, their tokens sealed by `box`."""

    def __init__(self, database: Database, *, box: SecretBox) -> None:
        self._box = box
        self._bots = database["bots"]
        self._defaults = database["bot_defaults"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._bots.create_index([("org", 1), ("telegramId", 1)], unique=True)
        await self._bots.create_index([("org", 1), ("_id", 1)])

    async def insert(self, tx: Tx, bot: Bot) -> Bot:
        """Store a new one; see the port. Raises BotExists."""
        session = session_of(tx)
        same = {"org": bot.org, "telegramId": bot.telegram_id}
        if await self._bots.find_one(same, {"_id": 1}, session=session):
            raise BotExists
        try:
            await self._bots.insert_one(_document(bot), session=session)
        except DuplicateKeyError as error:
            raise BotExists from error
        if not bot.default and await self._default_id(bot.org, session) is not None:
            return bot
        pointer = {"_id": bot.org, "botId": bot.bot_id}
        try:
            await self._defaults.replace_one({"_id": bot.org}, pointer, upsert=True, session=session)
        except DuplicateKeyError as error:
            raise Collision from error
        return replace(bot, default=True)

    async def get(self, org: str, bot_id: str, *, tx: Tx | None = None) -> Bot | None:
        """One bot."""
        session = session_of(tx) if tx else None
        found = await self._bots.find_one({"_id": bot_id, "org": org}, session=session)
        return _bot(found, await self._default_id(org, session)) if found else None

    async def replace(self, tx: Tx, bot: Bot) -> None:
        """Store a changed bot over what is there, and make it the default when it says so."""
        session = session_of(tx)
        await self._bots.replace_one({"_id": bot.bot_id, "org": bot.org}, _document(bot), session=session)
        if bot.default and await self._default_id(bot.org, session) != bot.bot_id:
            pointer = {"$set": {"botId": bot.bot_id}}
            await self._defaults.update_one({"_id": bot.org}, pointer, upsert=True, session=session)

    async def remove(self, tx: Tx, bot: Bot) -> None:
        """Forget it; when it was the default, the oldest of the others is from now on."""
        session = session_of(tx)
        await self._bots.delete_one({"_id": bot.bot_id, "org": bot.org}, session=session)
        if not bot.default:
            return
        oldest = await self._bots.find_one({"org": bot.org}, {"_id": 1}, sort=[("_id", 1)], session=session)
        if oldest is None:
            await self._defaults.delete_one({"_id": bot.org}, session=session)
        else:
            pointer = {"$set": {"botId": oldest["_id"]}}
            await self._defaults.update_one({"_id": bot.org}, pointer, session=session)

    async def default(self, org: str) -> Bot | None:
        """The bot that campaigns use which name none."""
        bot_id = await self._default_id(org)
        return await self.get(org, bot_id) if bot_id else None

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Bot], int]:
        """A page, oldest first, and how many there are."""
        rows = await self._bots.find({"org": org}).sort("_id", 1).skip(skip).limit(limit).to_list(None)
        default_id = await self._default_id(org)
        return [_bot(row, default_id) for row in rows], await self._bots.count_documents({"org": org})

    def seal(self, token: str, *, org: str, bot_id: str) -> str:
        """`token` as it may be stored, for this bot alone."""
        return self._box.seal(token, owner=token_owner(org, bot_id))

    def token(self, bot: Bot) -> str:
        """The bot's token in the clear: only for calling Telegram. Raises SecretUnreadable."""
        return self._box.open(bot.token_sealed, owner=token_owner(bot.org, bot.bot_id))

    async def _default_id(self, org: str, session: Session | None = None) -> str | None:
        found = await self._defaults.find_one({"_id": org}, session=session)
        return str(found["botId"]) if found else None


def _document(bot: Bot) -> Document:
    return {
        "_id": bot.bot_id,
        "org": bot.org,
        "name": bot.name,
        "telegramId": bot.telegram_id,
        "username": bot.username,
        "tokenSealed": bot.token_sealed,
        "limits": {
            "perSecond": bot.limits.per_second,
            "perChatPerSecond": bot.limits.per_chat_per_second,
            "perGroupPerMinute": bot.limits.per_group_per_minute,
            "paidPerSecond": bot.limits.paid_per_second,
        },
        "createdAt": bot.created_at,
    }


def _bot(row: Document, default_id: str | None) -> Bot:
    limits = row["limits"]
    return Bot(
        bot_id=row["_id"],
        org=row["org"],
        name=row["name"],
        telegram_id=row["telegramId"],
        username=row["username"],
        token_sealed=row["tokenSealed"],
        limits=BotLimits(
            per_second=limits["perSecond"],
            per_chat_per_second=limits["perChatPerSecond"],
            per_group_per_minute=limits["perGroupPerMinute"],
            paid_per_second=limits["paidPerSecond"],
        ),
        default=row["_id"] == default_id,
        created_at=row["createdAt"],
    )
