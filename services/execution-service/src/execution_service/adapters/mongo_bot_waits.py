"""What Telegram told a bot or a chat, kept in MongoDB.

`bot_waits` {_id: Telegram's bot id, until}: until when the bot must be silent. A group's new chat id goes
into the contact itself.
"""

from datetime import datetime

from service_kit.mongo.client import Database

from execution_service.adapters.mongo_contacts import contact_key


class MongoBotWaits:
    """Silences of all Telegram bots."""

    def __init__(self, database: Database) -> None:
        self._waits = database["bot_waits"]

    async def until(self, telegram_id: int) -> datetime | None:
        """The end of the wait; it may lie in the past."""
        found = await self._waits.find_one({"_id": telegram_id})
        return found["until"] if found else None

    async def extend(self, telegram_id: int, until: datetime) -> None:
        """Wait at least until then."""
        await self._waits.update_one({"_id": telegram_id}, {"$max": {"until": until}}, upsert=True)


class MongoChatMoves:
    """Chats whose id has changed."""

    def __init__(self, database: Database) -> None:
        self._contacts = database["contacts"]

    async def move(self, org: str, contact_id: str, *, before: int, after: int) -> None:
        """Note the new id, unless the contact has been changed since."""
        await self._contacts.update_one(
            {"_id": contact_key(org, contact_id), "telegramChatId": before},
            {"$set": {"telegramChatId": after}},
        )
