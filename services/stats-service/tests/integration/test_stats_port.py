"""One suite for the fake and for MongoDB: position, numbers and names of facts move together or not at all."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.events.delivery import TallyRow
from service_kit.clock import SystemClock
from service_kit.mongo.transactions import MongoTransactions
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from stats_service.adapters.book_keys import book_of, day_key, line_and_time, line_of_total, total_key
from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.adapters.mongo_links import MongoLinks
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.adapters.reached_rows import reached_in
from stats_service.application.fold_batch import Batch, Folded, ForeignFacts, fold_batch
from stats_service.application.ports import NewPrice, Owner, Partition, PositionMoved
from stats_service.application.read_fact import read_fact
from stats_service.domain.dimensions import ALL, Cell, Kind, Line, Metric
from stats_service.domain.facts import Fact
from stats_service.domain.people import Wanted, reference, references
from stats_service.domain.person import Received
from stats_service.domain.states import Ahead, Changes, Known, Names, PersonKey, Task

pytestmark = pytest.mark.integration

PARTITION = Partition("delivery-events", 3)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)


@dataclass
class Store:
    """The ports of one database."""

    transactions: Any
    positions: Any
    ledger: Any
    numbers: Any
    links: Any

    async def fold(self, batch: Batch) -> Folded:
        await self.positions.read(batch.partition)
        return await fold_batch(
            batch,
            transactions=self.transactions,
            positions=self.positions,
            ledger=self.ledger,
            attribution=timedelta(days=7),
        )


@pytest.fixture(params=["fake", "mongo"])
async def store(request: pytest.FixtureRequest, stats: Any, mongo_database: Any) -> Store:
    if request.param == "fake":
        return Store(InMemoryTransactions(), stats, stats, stats, stats)
    return await _mongo(mongo_database)


async def _mongo(database: Any, *, now: datetime | None = None) -> Store:
    ledger = MongoLedger(database, clock=FixedClock(now) if now else SystemClock())
    await ledger.prepare()
    transactions = MongoTransactions(database.client, timeout=10)
    return Store(transactions, MongoPositions(database), ledger, MongoNumbers(database), MongoLinks(database))


@pytest.fixture
def batch(events: Any) -> Callable[..., Batch]:
    """The windows given, at offsets from `first`."""

    def make(*windows: int, first: int = 0) -> Batch:
        facts: list[tuple[int, Fact]] = []
        for offset, window in enumerate(windows, first):
            fact = read_fact(events.window(window))
            assert fact is not None
            facts.append((offset, fact))
        return Batch(PARTITION, first, first + len(windows) - 1, facts)

    return make


async def fold_each(store: Store, raws: list[bytes], first: int = 0) -> int:
    """Fold each in a batch of its own, at offsets from `first`; how many were counted."""
    counted = 0
    for offset, raw in enumerate(raws, first):
        fact = read_fact(raw)
        assert fact is not None
        counted += (await store.fold(Batch(PARTITION, offset, offset, [(offset, fact)]))).counted
    return counted


async def tasks_told(store: Store) -> tuple[int, int]:
    """(total, failed) tasks of camp_1 as they are announced."""
    [taken] = await store.transactions.run(lambda tx: store.numbers.take(tx, ["camp_1"], NOW, before=NOW))
    return taken.totals.get(Task.TOTAL, 0), taken.totals.get(Task.FAILED, 0)


async def test_a_batch_counts_and_moves_the_position(store: Store, batch: Any) -> None:
    assert await store.fold(batch(0, 1, 2)) == Folded(counted=3)
    assert await store.positions.read(PARTITION) == 2
    assert await store.positions.all() == {PARTITION: 2}
    assert await store.numbers.totals("camp_1") == {"sent": 3, "delivered": 3}


def tally(minute: int, status: Any, count: int, code: str | None = None) -> TallyRow:
    return TallyRow(minute=minute, message_id="msg_1", status=status, error_code=code, count=count)


async def test_a_retry_takes_the_place_of_what_it_took_back(store: Store, events: Any) -> None:
    minute, later = 29_000_000, 29_000_060
    first = events.window(
        tally=[tally(minute, "successful", 90), tally(minute, "failed", 10, "USER_BLOCKED")]
    )
    again = events.window(
        execution_id="exec_2",
        tally=[
            tally(later, "successful", 6),
            tally(later, "unknown", 1, "DELIVERY_UNKNOWN"),
            tally(minute, "failed", -7, "USER_BLOCKED"),
        ],
    )
    await fold_each(store, [first, again, again, first])
    expected = {"sent": 99, "delivered": 96, "failed": 3, "unknown": 1}
    assert await store.numbers.totals("camp_1") == expected


async def test_a_replayed_batch_changes_nothing(store: Store, batch: Any) -> None:
    await store.fold(batch(0, 1, 2))
    assert await store.fold(batch(0, 1, 2)) == Folded(duplicates=3)
    assert await store.fold(batch(1, 2, 3, first=1)) == Folded(counted=1, duplicates=2)
    assert (await store.numbers.totals("camp_1"))["sent"] == 4


async def test_the_same_windows_at_new_offsets_change_only_the_position(store: Store, batch: Any) -> None:
    await store.fold(batch(0, 1, 3))
    assert await store.fold(batch(3, 1, 2, first=3)) == Folded(counted=1, duplicates=2)
    assert await store.positions.read(PARTITION) == 5
    assert (await store.numbers.totals("camp_1"))["sent"] == 4


async def test_a_batch_that_does_not_follow_the_position_is_refused(store: Store, batch: Any) -> None:
    await store.fold(batch(0))
    with pytest.raises(PositionMoved):
        await store.fold(batch(5, first=5))
    assert await store.positions.read(PARTITION) == 0
    assert (await store.numbers.totals("camp_1"))["sent"] == 1


async def test_a_stale_position_takes_everything_back(store: Store, batch: Any) -> None:
    await store.fold(batch(0))

    async def work(tx: Tx) -> None:
        changes = Changes()
        changes.book("camp_1", "acme").count(Cell(1, ALL, Metric.SENT), 100)
        known = await store.ledger.known(tx, Names(campaigns={"camp_1"}), Ahead())
        await store.ledger.apply(tx, known, changes)
        await store.positions.move(tx, PARTITION, before=-1, after=9)

    with pytest.raises(PositionMoved):
        await store.transactions.run(work)
    assert (await store.numbers.totals("camp_1"))["sent"] == 1


async def test_a_campaign_keeps_its_organisation_and_its_newest_name(store: Store, events: Any) -> None:
    await fold_each(store, [events.created(sequence=2), events.created(sequence=1)])
    with pytest.raises(ForeignFacts):
        await fold_each(store, [events.created(org="other", sequence=3)], first=2)
    assert await store.numbers.owner_of("camp_1") == Owner("acme", deleted=False)
    assert await store.numbers.owner_of("camp_2") is None


async def test_a_deleted_campaign_stays_deleted_whatever_comes_late(store: Store, events: Any) -> None:
    raws = [events.created(sequence=1), events.deleted(sequence=3), events.created(sequence=2)]
    await fold_each(store, raws)
    assert await store.numbers.owner_of("camp_1") == Owner("acme", deleted=True)


async def test_a_deletion_erases_the_name_and_nothing_late_brings_it_back(
    mongo_database: Any, events: Any
) -> None:
    store = await _mongo(mongo_database)
    await fold_each(store, [events.created(name="Secret")])
    assert (await mongo_database["campaigns"].find_one({"_id": "camp_1"}))["name"] == "Secret"
    late = [events.created(name="Secret", sequence=2), events.created(name="Secret", sequence=1)]
    await fold_each(store, [events.deleted(sequence=3, name="Secret"), *late], first=1)
    assert "Secret" not in str(await mongo_database["campaigns"].find({}).to_list(None))


async def test_the_latest_end_of_an_execution_counts_alone(store: Store, events: Any) -> None:
    first, second = events.failed(5), events.failed(2, failed_at=LATER)
    await fold_each(store, [events.planned(8), first])
    assert await tasks_told(store) == (8, 5)
    assert await fold_each(store, [second, first, second], first=2) == 1
    assert await tasks_told(store) == (8, 2)
    done = events.completed(completed_at=LATER + timedelta(seconds=1))
    assert await fold_each(store, [done, second, done, events.planned(8)], first=5) == 1
    assert await tasks_told(store) == (8, 0)


async def test_a_failure_is_remembered_until_the_execution_completes(
    mongo_database: Any, events: Any
) -> None:
    store = await _mongo(mongo_database)

    async def forgotten_some_day() -> bool:
        # A TTL index takes rows by a date alone.
        return isinstance((await mongo_database["executions"].find_one({}))["at"], datetime)

    for offset, (raw, expected) in enumerate(
        [(events.planned(8), True), (events.failed(5), False), (events.completed(completed_at=LATER), True)]
    ):
        await fold_each(store, [raw], first=offset)
        assert await forgotten_some_day() is expected


async def test_the_mark_is_taken_once_and_set_again_by_new_numbers(store: Store, batch: Any) -> None:
    async def take(now: datetime) -> Any:
        before = now - timedelta(seconds=1)
        return await store.transactions.run(
            lambda tx: store.numbers.take(tx, ["camp_0", "camp_1"], now, before=before)
        )

    await store.fold(batch(0, 1))
    assert list(await store.numbers.due(NOW, 10)) == ["camp_1"]
    [taken] = await take(NOW)
    assert (taken.revision, taken.org, taken.totals["sent"]) == (1, "acme", 2)
    assert await take(NOW + timedelta(seconds=1)) == []
    await store.fold(batch(2, first=2))
    assert list(await store.numbers.due(NOW - timedelta(seconds=1), 10)) == []
    assert list(await store.numbers.due(NOW, 10)) == ["camp_1"]
    assert await take(NOW) == [], "whoever read a moment ago that it is due"
    [again] = await take(NOW + timedelta(seconds=1))
    assert again.revision == 2


async def test_the_newest_price_of_an_organisation_reaches_its_campaigns_alone(
    store: Store, events: Any
) -> None:
    async def take(campaign: str) -> Any:
        [taken] = await store.transactions.run(lambda tx: store.numbers.take(tx, [campaign], NOW, before=NOW))
        return taken

    other = events.window(campaign_id="camp_2", execution_id="exec_2", org="other")
    await fold_each(store, [events.window(0), other, events.settings(0.25, revision=2)])
    assert ((await take("camp_1")).cost_per_message, (await take("camp_2")).cost_per_message) == (0.25, 0)
    assert list(await store.numbers.changed(10)) == [NewPrice("acme", 2)]
    await store.numbers.spread(NewPrice("acme", 2))
    assert list(await store.numbers.changed(10)) == []
    assert list(await store.numbers.due(NOW, 10)) == ["camp_1"]
    taken = await take("camp_1")
    assert (taken.revision, taken.cost_per_message) == (2, 0.25)
    late = [events.settings(9, revision=1), events.settings(0.25, revision=3)]
    await fold_each(store, late, first=3)
    assert list(await store.numbers.changed(10)) == [], "an older price, and the same one again"


async def test_two_instances_that_fold_the_same_batches_at_once_count_them_once(
    mongo_database: Any, batch: Any
) -> None:
    stores = [await _mongo(mongo_database), await _mongo(mongo_database)]
    batches = [batch(*range(first, first + 5), first=first) for first in range(0, 40, 5)]

    async def instance(store: Store) -> None:
        for item in batches:
            while True:
                try:
                    await store.fold(item)
                    break
                except PositionMoved:
                    continue

    await asyncio.gather(*map(instance, stores))
    assert await stores[0].numbers.totals("camp_1") == {"sent": 40, "delivered": 40}
    assert await stores[0].positions.read(PARTITION) == 39


async def test_links_are_kept_once_for_every_life_of_an_execution_in_whatever_order_they_come(
    store: Store, events: Any
) -> None:
    mended = events.resumed(["https://b.example"], sequence=4)
    started = events.started(["https://a.example"], sequence=2)
    await fold_each(store, [events.created(), mended, started, mended, started])
    facts: list[Any] = [read_fact(raw) for raw in (started, mended)]
    [one], [two] = (fact.links for fact in facts)
    assert await store.links.get("exec_1", one.link) == one
    assert await store.links.get("exec_1", two.link) == two
    assert (await store.links.get("exec_1", two.link)).url == "https://b.example"
    assert await store.links.get("exec_2", one.link) is None
    assert await store.links.get("exec_1", "00" * 8) is None


async def test_every_line_has_its_totals_quarters_and_minutes(mongo_database: Any, events: Any) -> None:
    day, hour = 20_000, 20_000 * 24 + 13
    minute = hour * 60 + 44
    start = datetime.fromtimestamp(hour * 3600, UTC)
    store = await _mongo(mongo_database, now=start + timedelta(days=3))
    tally = [
        TallyRow(
            minute=minute,
            message_id="msg/1",
            variation_id="var_1",
            status="successful",
            count=5,
            segments=[0],
        ),
        TallyRow(minute=minute + 1, message_id="msg/1", status="failed", error_code="USER_BLOCKED", count=2),
    ]
    await fold_each(store, [events.window(window, tally=tally, segment_ids=["seg_a"]) for window in range(2)])
    book = book_of("camp_1", 0)
    message = Line(Kind.MESSAGE, "msg/1", "var_1")
    own, error = Line(Kind.MESSAGE, "msg/1"), Line(Kind.ERROR, "failed", "USER_BLOCKED")
    ten, four = {"sent": 10, "delivered": 10}, {"sent": 4, "failed": 4}
    segment = Line(Kind.SEGMENT, "seg_a")
    totals = {ALL: ten | four | {"sent": 14}, message: ten, segment: ten, own: four, error: {"count": 4}}
    rows = await mongo_database["totals"].find({}).to_list(None)
    assert {line_of_total(row.pop("_id")): row for row in rows} == totals
    rows = await mongo_database["days"].find({"_id": day_key(book, day, ALL)}).to_list(None)
    [quarters] = [{name: row[name] for name in row if name != "_id"} for row in rows]
    assert quarters == {"sent": {"54": 10, "55": 4}, "delivered": {"54": 10}, "failed": {"55": 4}}
    rows = await mongo_database["hours"].find({}).to_list(None)
    minutes = {line_and_time(row.pop("_id")): row for row in rows}
    assert set(minutes) == {(line, hour) for line in totals}
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
    assert minutes[message, hour] == {"at": at, "sent": {"44": 10}, "delivered": {"44": 10}}


async def test_whom_a_message_reached_is_kept_once_with_the_state_of_the_shard(
    mongo_database: Any, events: Any
) -> None:
    store = await _mongo(mongo_database)
    row = TallyRow(
        minute=29_000_000,
        message_id="msg_1",
        status="successful",
        count=2,
        segments=[0],
        contact_ids=["a", "b"],
    )
    bodies = [events.window(window, tally=[row], segment_ids=["seg_a"]) for window in (0, 1, 0)]
    assert await fold_each(store, bodies) == 2
    [shard] = await mongo_database["shards"].find({}).to_list(None)
    assert shard["windows"] == [[0, 1]]
    [reached] = await mongo_database["reached"].find({}).to_list(None)
    assert (reached["_id"], reached["revision"]) == (f"{shard['_id']}/msg_1", 2)
    assert reached["contacts"] == [references(["a", "b"])] * 2
    got = Received(29_000_000, "msg_1", "", ("seg_a",))
    assert [*reached_in(reached, Wanted([reference("b")]))] == [(reference("b"), got)] * 2


@pytest.mark.parametrize("swap", [False, True])
async def test_what_is_delivered_while_a_person_is_looked_for_counts_for_the_person(
    mongo_database: Any, events: Any, swap: bool
) -> None:
    store = await _mongo(mongo_database)
    row = TallyRow(
        minute=29_000_000, message_id="msg_1", status="successful", count=1, segments=[0], contact_ids=["a"]
    )
    delivery = events.window(7, tally=[row], segment_ids=["seg_a"])

    class Meanwhile(MongoLedger):
        async def look_ahead(self, engaged: Collection[PersonKey]) -> Ahead:
            ahead = await super().look_ahead(engaged)
            if swap:
                version = {"version": 1, "org": "acme", "revision": 1}
                await mongo_database["numbers"].update_one({"_id": "camp_1"}, {"$set": version}, upsert=True)
            await fold_each(store, [delivery])
            return ahead

    ledger = Meanwhile(mongo_database, clock=SystemClock())
    slow = Store(store.transactions, store.positions, ledger, store.numbers, store.links)
    await fold_each(slow, [events.clicked("a")], first=1)
    rows = await mongo_database["totals"].find({}).to_list(None)
    clicked = {line_of_total(row["_id"]): row["clicked"] for row in rows}
    assert clicked == {ALL: 1, Line(Kind.MESSAGE, "msg_1"): 1, Line(Kind.SEGMENT, "seg_a"): 1}


async def test_clicks_and_conversions_count_for_what_reached_the_contact_whichever_comes_first(
    store: Store, events: Any
) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=29_000_000)
    row = TallyRow(
        minute=29_000_000,
        message_id="msg_1",
        status="successful",
        count=2,
        segments=[0],
        contact_ids=["a", "b"],
    )
    delivery = events.window(tally=[row], segment_ids=["seg_a"])
    before = [events.clicked("a", clicked_at=at), events.converted("conv_1", "b", value=2, converted_at=at)]
    after = [
        events.clicked("b", clicked_at=at + timedelta(minutes=1)),
        events.converted("conv_2", "a", value=3, converted_at=at + timedelta(minutes=2)),
        events.converted("conv_3", "nobody", converted_at=at + timedelta(minutes=2)),
    ]
    bodies = [*before, delivery, *after]
    assert await fold_each(store, bodies) == 6
    totals = dict(await store.numbers.totals("camp_1"))
    once_each = {"read": 2, "clicked": 2, "clickedTotal": 2, "converted": 2, "convertedTotal": 2}
    assert totals == {"sent": 2, "delivered": 2, "revenue-EUR": 50_000} | once_each
    assert await fold_each(store, bodies, first=6) == 0
    assert await store.numbers.totals("camp_1") == totals


async def test_revenue_is_right_beyond_what_32_bits_hold(store: Store, events: Any) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=29_000_000)
    row = TallyRow(minute=29_000_000, message_id="msg_1", status="successful", count=1, contact_ids=["a"])
    sold = [events.converted(f"conv_{n}", "a", value=150_000.0001, converted_at=at) for n in range(3)]
    huge = events.converted("conv_3", "a", value=1_000_000_000, converted_at=at)
    await fold_each(store, [events.window(tally=[row]), *sold, huge])
    assert (await store.numbers.totals("camp_1"))["revenue-EUR"] == 4_500_000_003 + 10**13


async def test_a_click_counts_in_the_lines_that_the_delivery_told_though_it_came_first(
    mongo_database: Any, events: Any
) -> None:
    store = await _mongo(mongo_database)
    row = TallyRow(
        minute=29_000_000, message_id="msg_1", variation_id="var_1", status="successful", count=1,
        segments=[0], contact_ids=["a"],
    )  # fmt: skip
    await fold_each(store, [events.clicked("a"), events.window(tally=[row], segment_ids=["seg_a"])])
    rows = await mongo_database["totals"].find({}).to_list(None)
    clicked = {line_of_total(row["_id"]): row["clicked"] for row in rows}
    assert clicked == {ALL: 1, Line(Kind.MESSAGE, "msg_1", "var_1"): 1, Line(Kind.SEGMENT, "seg_a"): 1}


async def test_an_erased_contact_is_taken_from_its_conversions_and_its_numbers_stay(
    mongo_database: Any, events: Any
) -> None:
    store = await _mongo(mongo_database)
    rows = [("conv_1", "acme", "con_ann"), ("conv_2", "acme", "b"), ("conv_3", "other", "con_ann")]
    conversions = mongo_database["conversions"]
    await conversions.insert_many([{"_id": i, "org": org, "contactId": contact} for i, org, contact in rows])
    await fold_each(store, [events.clicked("con_ann"), events.erased("con_ann"), events.erased("con_ann")])
    left = {row["_id"]: row["contactId"] async for row in conversions.find({})}
    assert left == {"conv_1": None, "conv_2": "b", "conv_3": "con_ann"}
    assert (await store.numbers.totals("camp_1"))["clicked"] == 1
    for name in set(await mongo_database.list_collection_names()) - {"conversions"}:
        assert "con_ann" not in str(await mongo_database[name].find({}).to_list(None)), name


async def test_a_ledger_that_makes_a_book_anew_touches_nothing_else(mongo_database: Any, events: Any) -> None:
    store = await _mongo(mongo_database)
    await fold_each(store, [events.created(), events.window(0)])
    before = await mongo_database["numbers"].find_one({"_id": "camp_1"})
    again = MongoLedger(mongo_database, clock=SystemClock(), into={"camp_1": 1})
    anew = Store(store.transactions, MongoPositions(mongo_database), again, store.numbers, store.links)
    again = [events.window(0), events.window(1), events.planned(3), events.clicked("a")]
    await fold_each(anew, again, first=2)
    assert await mongo_database["numbers"].find_one({"_id": "camp_1"}) == before
    assert (await store.numbers.totals("camp_1"))["sent"] == 1
    await mongo_database["numbers"].update_one({"_id": "camp_1"}, {"$set": {"version": 1}})
    expected = {"sent": 2, "delivered": 2, "tasksTotal": 3, "clicked": 1, "clickedTotal": 1, "read": 1}
    assert await store.numbers.totals("camp_1") == expected
    assert await fold_each(store, [events.window(1), events.window(2)], first=6) == 1
    assert (await store.numbers.totals("camp_1"))["sent"] == 3


async def test_a_book_that_is_swapped_meanwhile_makes_a_fold_repeat_and_write_to_the_new_one(
    mongo_database: Any, batch: Any
) -> None:
    store = await _mongo(mongo_database)
    await store.fold(batch(0))
    swapped = False

    class Swapping(MongoLedger):
        async def known(self, tx: Tx, names: Names, ahead: Ahead) -> Known:
            nonlocal swapped
            known = await super().known(tx, names, ahead)
            if not swapped:
                swapped = True
                await mongo_database["numbers"].update_one({"_id": "camp_1"}, {"$set": {"version": 1}})
            return known

    ledger = Swapping(mongo_database, clock=SystemClock())
    store = Store(store.transactions, store.positions, ledger, store.numbers, store.links)
    await store.fold(batch(1, first=1))
    assert await store.numbers.totals("camp_1") == {"sent": 1, "delivered": 1}
    rows = await mongo_database["totals"].find({"_id": total_key(book_of("camp_1", 0), ALL)}).to_list(None)
    assert [row["sent"] for row in rows] == [1]


async def test_minutes_that_are_forgotten_already_are_not_written_again(
    mongo_database: Any, batch: Any
) -> None:
    late = datetime.fromtimestamp(29_000_000 * 60, UTC) + timedelta(days=3, minutes=60)
    store = await _mongo(mongo_database, now=late)
    assert (await store.fold(batch(0))).counted == 1
    assert await mongo_database["hours"].count_documents({}) == 0
    assert await mongo_database["days"].count_documents({}) > 0
    assert await mongo_database["totals"].count_documents({}) > 0


async def test_campaigns_segments_and_prices_are_kept_as_told(mongo_database: Any, events: Any) -> None:
    store = await _mongo(mongo_database)
    created = events.changed(events.created(), "data.audience", {"segments": ["seg_a"]})
    created = events.changed(created, "data.budget", 12.5)
    bodies = [created, events.started(), events.segment("Friends"), events.settings(0.5)]
    await fold_each(store, bodies)
    await fold_each(store, bodies, first=4)
    campaign = await mongo_database["campaigns"].find_one({"_id": "camp_1"})
    assert (campaign["org"], campaign["messages"]) == ("acme", [["msg_1", []]])
    assert (campaign["budget"], campaign["segments"]) == (None, [])  # as the newest event says
    segment = {"_id": "acme/seg_a", "name": "Friends", "revision": 1, "deleted": False}
    assert await mongo_database["segments"].find({}).to_list(None) == [segment]
    price = {"_id": "acme", "costPerMessage": 0.5, "currency": "EUR", "revision": 1, "dirty": True}
    assert await mongo_database["prices"].find({}).to_list(None) == [price]
