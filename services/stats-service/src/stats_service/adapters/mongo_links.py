"""Where buttons lead, in MongoDB: {_id: execution:link, campaignId, org, messageId, button, url, testMode}.

A row never changes: what it says is in its name. So a process keeps what it has read, and goes on sending
people on while the database is away.
"""

from collections import OrderedDict

from pymongo import UpdateOne
from service_kit.mongo.client import Database

from stats_service.domain.facts import FrozenLink

LINKS = "links"
KEPT = 10_000


class MongoLinks:
    """The links of one database, as MongoLedger wrote them."""

    def __init__(self, database: Database) -> None:
        self._rows = database[LINKS]
        self._known: OrderedDict[str, FrozenLink] = OrderedDict()

    async def get(self, execution: str, link: str) -> FrozenLink | None:
        """The link; None while no event told of it."""
        name = _name(execution, link)
        known = self._known.get(name)
        if known is not None:
            self._known.move_to_end(name)
            return known
        row = await self._rows.find_one({"_id": name})
        if row is None:
            return None
        found = FrozenLink(
            execution=execution,
            link=link,
            campaign=row["campaignId"],
            org=row["org"],
            message=row["messageId"],
            button=row["button"],
            url=row["url"],
            test_mode=row["testMode"],
        )
        self._known[name] = found
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found


def keep_link(link: FrozenLink) -> UpdateOne:
    """The write that keeps `link`; it changes nothing when it is there."""
    row = {
        "campaignId": link.campaign,
        "org": link.org,
        "messageId": link.message,
        "button": link.button,
        "url": link.url,
        "testMode": link.test_mode,
    }
    return UpdateOne({"_id": _name(link.execution, link.link)}, {"$setOnInsert": row}, upsert=True)


def _name(execution: str, link: str) -> str:
    return f"{execution}:{link}"
