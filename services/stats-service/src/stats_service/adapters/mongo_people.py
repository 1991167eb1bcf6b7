"""Persons in MongoDB.

    people  {_id: <book>/<reference>, received [[minute, message, variation, [segment…]]…],
             clicks [[ms, name, message]…], conversions [[ms, name, value, currency, [ms, message] | null]…]}
    crowds  {_id: <book>/<part>, contacts}: the references of all persons of a book, one after the other, in
            parts by their first bits

A batch of deliveries is compared with the crowd: some milliseconds for a hundred thousand persons.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from pymongo import UpdateOne
from service_kit.mongo.client import Database, Document, Session

from stats_service.adapters.mongo_registry import rows_of, write
from stats_service.domain.facts import ClickTold
from stats_service.domain.people import REFERENCE_BYTES, Wanted
from stats_service.domain.person import Click, Conversion, Person, Received
from stats_service.domain.states import Changes, Known, PersonKey

PEOPLE: Final = "people"
CROWDS: Final = "crowds"
_PART_BITS: Final = 6
Books = Mapping[str, str]
"""Campaign → its book."""


class MongoPeople:
    """The persons of one database."""

    def __init__(self, database: Database) -> None:
        self._people = database[PEOPLE]
        self._crowds = database[CROWDS]

    async def known(
        self, keys: Iterable[PersonKey], books: Books, session: Session | None = None
    ) -> dict[PersonKey, Person]:
        """Those of `keys` that are persons."""
        ids = {_person_id(books, key): key for key in keys}
        return {ids[row["_id"]]: _person(row) for row in await rows_of(self._people, ids, session)}

    async def among(
        self, reached: Mapping[str, bytes | bytearray], books: Books, session: Session
    ) -> set[PersonKey]:
        """The persons among the contacts that were reached, by campaign."""
        ids: dict[str, str] = {}
        for campaign, contacts in reached.items():
            parts = {first >> (8 - _PART_BITS) for first in contacts[::REFERENCE_BYTES]}
            ids |= {_part_id(books, campaign, part): campaign for part in parts}
        crowds: dict[str, list[bytes]] = defaultdict(list)
        for row in await rows_of(self._crowds, ids, session):
            crowds[ids[row["_id"]]].append(row["contacts"])
        found: set[PersonKey] = set()
        for campaign, parts_of in crowds.items():
            wanted = Wanted(_each(reached[campaign]))
            found |= {PersonKey(campaign, contact) for crowd in parts_of for contact in wanted.among(crowd)}
        return found

    async def apply(self, changes: Changes, known: Known, books: Books, session: Session) -> None:
        """Store persons that changed; new ones join the crowd."""
        updates = [
            UpdateOne({"_id": _person_id(books, key)}, {"$set": _written(person)}, upsert=True)
            for key, person in changes.people.items()
        ]
        await write(self._people, updates, session)
        joining: dict[str, list[bytes]] = defaultdict(list)
        for key in changes.people.keys() - known.people.keys():
            part = key.contact[0] >> (8 - _PART_BITS)
            joining[_part_id(books, key.campaign, part)].append(key.contact)
        there = {row["_id"]: row["contacts"] for row in await rows_of(self._crowds, joining, session)}
        updates = [
            UpdateOne(
                {"_id": part}, {"$set": {"contacts": there.get(part, b"") + b"".join(contacts)}}, upsert=True
            )
            for part, contacts in joining.items()
        ]
        await write(self._crowds, updates, session)


def _each(contacts: bytes | bytearray) -> list[bytes]:
    whole = bytes(contacts)
    return [whole[at : at + REFERENCE_BYTES] for at in range(0, len(whole), REFERENCE_BYTES)]


def _person_id(books: Books, key: PersonKey) -> str:
    return f"{books[key.campaign]}/{key.contact.hex()}"


def _part_id(books: Books, campaign: str, part: int) -> str:
    return f"{books[campaign]}/{part:02x}"


def _person(row: Document) -> Person:
    return Person(
        tuple(
            Received(minute, message, variation, tuple(segments))
            for minute, message, variation, segments in row["received"]
        ),
        tuple(Click(at, name, message) for at, name, message in row["clicks"]),
        tuple(
            Conversion(at, name, value, currency, ClickTold(*click) if click else None)
            for at, name, value, currency, click in row["conversions"]
        ),
    )


def _written(person: Person) -> Document:
    return {
        "received": [[*received[:3], list(received.segments)] for received in person.received],
        "clicks": [list(click) for click in person.clicks],
        "conversions": [
            [*conversion[:4], conversion.click and list(conversion.click)]
            for conversion in person.conversions
        ],
    }
