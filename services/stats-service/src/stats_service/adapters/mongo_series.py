"""Reading campaigns' numbers for answers. Who writes what, and how it is laid out: `book_keys`.

campaigns  {_id: campaign, org, deleted, budget, segments [id…], messages [[message, [variation…]]…]}
segments   {_id: <org>/<segment>, name, revision, deleted}
prices     {_id: org, costPerMessage, currency, revision}
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import pymongo
from service_kit.mongo.client import Collection as Rows
from service_kit.mongo.client import Database, Document, Session
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.book_keys import (
    DAYS,
    HOURS,
    NUMBERS,
    TOTALS,
    book_of,
    days_range,
    hours_range,
    kind_range,
    line_and_time,
    line_of_total,
)
from stats_service.application.ports_reading import Stamp
from stats_service.domain.conversion import DEFAULT_CURRENCY
from stats_service.domain.dimensions import MINUTES_A_DAY, QUARTER_MINUTES, Kind, Line
from stats_service.domain.series import Counts, Row

ALWAYS: Final = (0, 9_999_999)
"""All days that a key can name."""


class MongoSeries:
    """The numbers of one database. Reads outside a transaction end within `timeout` seconds."""

    def __init__(self, database: Database, *, timeout: float) -> None:
        self._campaigns = database["campaigns"]
        self._segments = database["segments"]
        self._prices = database["prices"]
        self._numbers = database[NUMBERS]
        self._totals = database[TOTALS]
        self._days = database[DAYS]
        self._hours = database[HOURS]
        self._timeout = timeout

    async def stamp(self, campaign: str, org: str, tx: Tx | None = None) -> Stamp | None:
        """The campaign's; None while no event told of it, and for another organisation's."""
        of_campaign, of_org = {"_id": campaign}, {"_id": org}
        if tx is None:
            async with asyncio.timeout(self._timeout):
                with pymongo.timeout(self._timeout):
                    rows = await asyncio.gather(
                        self._campaigns.find_one(of_campaign),
                        self._numbers.find_one(of_campaign),
                        self._prices.find_one(of_org),
                    )
            return _stamp(campaign, org, *rows)
        session = session_of(tx)  # one after the other: a transaction takes one at a time
        return _stamp(
            campaign,
            org,
            await self._campaigns.find_one(of_campaign, session=session),
            await self._numbers.find_one(of_campaign, session=session),
            await self._prices.find_one(of_org, session=session),
        )

    async def names(self, org: str, segments: Collection[str], tx: Tx | None = None) -> Mapping[str, str]:
        """The names of those segments that are known; deleted ones keep their last."""
        wanted = {"_id": {"$in": [f"{org}/{segment}" for segment in segments]}}
        if tx is not None:
            rows = await self._segments.find(wanted, {"name": 1}, session=session_of(tx)).to_list(None)
        else:
            async with asyncio.timeout(self._timeout):
                with pymongo.timeout(self._timeout):
                    rows = await self._segments.find(wanted, {"name": 1}).to_list(None)
        return {row["_id"].removeprefix(f"{org}/"): row["name"] for row in rows}

    async def totals(self, tx: Tx, stamp: Stamp, kind: Kind) -> Mapping[Line, Counts]:
        """What the lines of a kind counted, ever."""
        limits = kind_range(_book(stamp), kind)
        rows = await _between(self._totals, limits, None, session_of(tx))
        return {line_of_total(row.pop("_id")): row for row in rows}

    async def quarters(
        self, tx: Tx, stamp: Stamp, kind: Kind, between: tuple[int, int] | None, metrics: Collection[str] = ()
    ) -> Sequence[Row]:
        """What they counted by quarter of an hour, on all UTC days that `between` touches (None: ever)."""
        first, last = ALWAYS if between is None else (minute // MINUTES_A_DAY for minute in between)
        limits = days_range(_book(stamp), kind, first, last)
        rows = await _between(self._days, limits, dict.fromkeys(metrics, 1) or None, session_of(tx))
        return [_row(row, MINUTES_A_DAY, QUARTER_MINUTES) for row in rows]

    async def minutes(self, tx: Tx, stamp: Stamp, kind: Kind, between: tuple[int, int]) -> Sequence[Row]:
        """What they counted by minute, in all hours that the minutes `between` touch."""
        first, last = (minute // 60 for minute in between)
        limits = hours_range(_book(stamp), kind, first, last)
        rows = await _between(self._hours, limits, {"at": 0}, session_of(tx))
        return [_row(row, 60, 1) for row in rows]


def _stamp(
    campaign: str, org: str, row: Document | None, numbers: Document | None, price: Document | None
) -> Stamp | None:
    if row is None or row["org"] != org:
        return None
    numbers, price = numbers or {}, price or {}
    return Stamp(
        campaign=campaign,
        org=org,
        deleted=row.get("deleted", False),
        budget=row.get("budget"),
        segments=tuple(row.get("segments") or ()),
        messages=tuple((message, tuple(of_it)) for message, of_it in row.get("messages") or ()),
        version=numbers.get("version", 0),
        revision=numbers.get("revision", 0),
        cost_per_message=price.get("costPerMessage", 0.0),
        currency=price.get("currency") or DEFAULT_CURRENCY,
    )


def _book(stamp: Stamp) -> str:
    return book_of(stamp.campaign, stamp.version)


async def _between(
    rows: Rows, limits: tuple[str, str], fields: dict[str, Any] | None, session: Session
) -> list[Document]:
    start, stop = limits
    found = rows.find({"_id": {"$gte": start, "$lt": stop}}, fields, session=session)
    return await found.batch_size(10_000).to_list(None)


def _row(row: Document, row_minutes: int, cell_minutes: int) -> Row:
    line, time = line_and_time(row.pop("_id"))
    return Row(line, time * row_minutes, cell_minutes, row)
