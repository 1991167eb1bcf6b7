"""The port `WaitingRows`: the same of the fake and of MongoDB."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.binary import Binary
from service_kit.outbox.mongo_outbox import COLLECTION, MongoOutbox
from service_kit.outbox.refused import closed_keys, open_keys
from service_kit.outbox.relay import WaitingRows
from service_kit.outbox.waiting_rows import Backlog, MongoWaitingRows, Row
from service_kit.testing.fakes import FixedClock
from service_kit.testing.relay_fakes import InMemoryWaitingRows

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING_CLOSED: frozenset[str] = frozenset()
Put = Callable[..., Awaitable[None]]


def row(row_id: str, key: str, sequence: int) -> Row:
    return Row(row_id, key, sequence, "t", "campaign.updated", f"{key}/{sequence}".encode(), NOW)


@pytest.fixture(params=["fake", "mongo"])
async def port(request: pytest.FixtureRequest, mongo_database: Any) -> tuple[WaitingRows, Put]:
    if request.param == "fake":
        fake = InMemoryWaitingRows()

        async def put(*rows: Row) -> None:
            fake.put(*rows)

        return fake, put
    clock = FixedClock(NOW)
    await MongoOutbox(mongo_database, clock=clock).prepare()

    async def store(*rows: Row) -> None:
        for item in rows:
            document = {"_id": item.id, "value": Binary(item.value), "createdAt": item.created_at}
            same = {name: getattr(item, name) for name in ("key", "sequence", "topic", "type")}
            await mongo_database[COLLECTION].insert_one(document | same)

    return MongoWaitingRows(mongo_database, clock=clock), store


async def test_an_empty_outbox_is_an_empty_page(port: tuple[WaitingRows, Put]):
    rows, _ = port
    page = await rows.page(10, after=None, closed=NOTHING_CLOSED)
    assert (page.rows, page.after) == ((), None)
    assert await rows.backlog() == Backlog(0, 0, frozenset())


async def test_rows_come_back_whole_by_key_and_sequence(port: tuple[WaitingRows, Put]):
    rows, put = port
    given = [row("1", "b", 1), row("2", "a", 2), row("3", "a", 1)]
    await put(*given)
    page = await rows.page(10, after=None, closed=NOTHING_CLOSED)
    assert page.rows == (given[2], given[1], given[0])
    assert page.after is None


async def test_a_page_has_for_each_key_all_that_comes_before_its_rows(port: tuple[WaitingRows, Put]):
    rows, put = port
    # a/1 and a/2 were written by a host whose clock is ahead: their ids are greater than a/3's.
    await put(row("1", "a", 3), row("2", "b", 1), row("7", "a", 1), row("8", "a", 2), row("9", "a", 4))
    page = await rows.page(2, after=None, closed=NOTHING_CLOSED)
    assert [(item.key, item.sequence) for item in page.rows] == [("a", 1), ("a", 2), ("a", 3), ("b", 1)]


async def test_rows_without_a_sequence_are_in_the_order_of_their_ids(port: tuple[WaitingRows, Put]):
    rows, put = port
    await put(*[row(str(n), "e", 0) for n in range(6)])
    page = await rows.page(3, after=None, closed=NOTHING_CLOSED)
    assert [item.id for item in page.rows] == ["0", "1", "2"]
    further = await rows.page(2, after="3", closed=NOTHING_CLOSED)
    # Of a key that is met further on, its beginning is read again: nobody may publish 4 before 0.
    assert [item.id for item in further.rows] == ["0", "1", "2", "3"]


async def test_pages_lead_to_the_end(port: tuple[WaitingRows, Put]):
    rows, put = port
    await put(*[row(str(n), f"k{n}", 1) for n in range(5)])
    seen, after = [], None
    while True:
        page = await rows.page(2, after=after, closed=NOTHING_CLOSED)
        seen += [item.id for item in page.rows]
        after = page.after
        if after is None:
            break
    assert seen == ["0", "1", "2", "3", "4"]


async def test_a_closed_key_is_left_out_and_counted_apart(port: tuple[WaitingRows, Put]):
    rows, put = port
    await put(row("1", "a", 1), row("2", "a", 2), row("3", "b", 1))
    for _ in range(2):  # the second time by a relay that did not know
        await rows.close_key(row("1", "a", 1), "TooLarge")
    backlog = await rows.backlog()
    assert backlog == Backlog(waiting=1, held=2, closed=frozenset({"a"}))
    page = await rows.page(10, after=None, closed=backlog.closed)
    assert [item.id for item in page.rows] == ["3"]


async def test_removed_rows_are_gone_and_removing_them_again_is_harmless(port: tuple[WaitingRows, Put]):
    rows, put = port
    await put(row("1", "a", 1), row("2", "a", 2))
    for _ in range(2):
        await rows.remove(["1"])
    page = await rows.page(10, after=None, closed=NOTHING_CLOSED)
    assert [item.id for item in page.rows] == ["2"]


async def test_an_operator_sees_what_is_closed_and_opens_it(mongo_database: Any):
    rows = MongoWaitingRows(mongo_database, clock=FixedClock(NOW))
    await rows.close_key(row("1", "a", 1), "TooLarge")
    await rows.close_key(row("2", "b", 1), "TooLarge")
    assert await closed_keys(mongo_database) == [
        "a  campaign.updated  1  TooLarge",
        "b  campaign.updated  2  TooLarge",
    ]
    assert await open_keys(mongo_database, ["a"]) == 1
    assert (await rows.backlog()).closed == frozenset({"b"})
    assert await open_keys(mongo_database, None) == 1
    assert (await rows.backlog()).closed == frozenset()
