"""What is known of campaigns, segments and prices beside their numbers, in MongoDB.

campaigns  {_id: campaign, org, name (empty once deleted), sequence, deleted, defined, budget, segments,
            frozen, messages [[message, [variation…]]…]}: `defined` and `frozen` are the sequences
                 that told budget and segments (of the audience), and the messages
segments   {_id: <org>/<segment>, name (the last one, when deleted), revision, deleted}
prices     {_id: org, costPerMessage, currency, revision, dirty (its campaigns do not show it yet)}
"""

from collections.abc import Iterable
from typing import Final

from pymongo import UpdateOne
from service_kit.mongo.client import Collection, Database, Document, Session

from stats_service.domain.facts import Definition, PriceSet, SegmentKey, SegmentNamed
from stats_service.domain.states import CampaignState, Changes, Known, Names

CAMPAIGNS: Final = "campaigns"
SEGMENTS: Final = "segments"
PRICES: Final = "prices"


async def rows_of(
    collection: Collection, ids: Iterable[str], session: Session | None, fields: Document | None = None
) -> list[Document]:
    """The rows with these ids; `fields` limits what is read of them."""
    wanted = sorted(set(ids))
    if not wanted:
        return []
    return await collection.find({"_id": {"$in": wanted}}, fields, session=session).to_list(None)


async def write(collection: Collection, updates: list[UpdateOne], session: Session) -> None:
    """Make `updates`, each for another row."""
    if updates:
        await collection.bulk_write(updates, ordered=False, session=session)


class MongoRegistry:
    """The registry of one database."""

    def __init__(self, database: Database) -> None:
        self._campaigns = database[CAMPAIGNS]
        self._segments = database[SEGMENTS]
        self._prices = database[PRICES]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._prices.create_index("dirty")

    async def known(self, names: Names, session: Session) -> Known:
        """What is known of the campaigns, segments and organisations in `names`."""
        campaigns = await rows_of(self._campaigns, names.campaigns, session)
        segments = await rows_of(self._segments, map(_segment_id, names.segments), session)
        prices = await rows_of(self._prices, names.orgs, session)
        return Known(
            campaigns={row["_id"]: _campaign(row) for row in campaigns},
            prices={
                row["_id"]: PriceSet(row["_id"], row["costPerMessage"], row["revision"], row["currency"])
                for row in prices
            },
            segments={(fact := _segment(row)).key: fact for row in segments},
        )

    async def apply(self, changes: Changes, known: Known, session: Session) -> None:
        """Store what is new."""
        await write(self._campaigns, [_set_campaign(*item) for item in changes.campaigns.items()], session)
        await write(self._segments, [_set_segment(fact) for fact in changes.segments.values()], session)
        prices = [_set_price(price, known.prices.get(org)) for org, price in changes.prices.items()]
        await write(self._prices, prices, session)


def _campaign(row: Document) -> CampaignState:
    return CampaignState(
        org=row["org"],
        name=row["name"],
        sequence=row["sequence"],
        deleted=row["deleted"],
        defined=row["defined"],
        definition=Definition(row["budget"], tuple(row["segments"])),
        frozen=row["frozen"],
        messages=tuple((message, tuple(variations)) for message, variations in row["messages"]),
    )


def _set_campaign(campaign: str, state: CampaignState) -> UpdateOne:
    fields: Document = {
        "org": state.org,
        "name": state.name,
        "sequence": state.sequence,
        "deleted": state.deleted,
        "defined": state.defined,
        "budget": state.definition.budget,
        "segments": list(state.definition.segments),
        "frozen": state.frozen,
        "messages": [[message, list(variations)] for message, variations in state.messages],
    }
    return UpdateOne({"_id": campaign}, {"$set": fields}, upsert=True)


def _segment_id(key: SegmentKey) -> str:
    return f"{key.org}/{key.segment}"


def _segment(row: Document) -> SegmentNamed:
    org, _, segment = row["_id"].partition("/")
    return SegmentNamed(org, segment, row["name"], row["revision"], row["deleted"])


def _set_segment(fact: SegmentNamed) -> UpdateOne:
    fields = {"name": fact.name, "revision": fact.revision, "deleted": fact.deleted}
    return UpdateOne({"_id": _segment_id(fact.key)}, {"$set": fields}, upsert=True)


def _set_price(price: PriceSet, before: PriceSet | None) -> UpdateOne:
    fields: Document = {
        "costPerMessage": price.cost_per_message,
        "currency": price.currency,
        "revision": price.revision,
    }
    if price.cost_per_message != (before.cost_per_message if before else 0):
        fields["dirty"] = True
    return UpdateOne({"_id": price.org}, {"$set": fields}, upsert=True)
