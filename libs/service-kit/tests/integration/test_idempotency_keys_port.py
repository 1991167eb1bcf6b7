"""What every implementation of the port `IdempotencyKeys` keeps to: the fake and MongoDB alike."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from service_kit.idempotency.keys import (
    Claim,
    IdempotencyKeys,
    KeyedRequest,
    KeyInFlight,
    KeyReused,
    Recorded,
    fingerprint,
)
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.mongo.transactions import MongoTransactions, session_of
from service_kit.ports import Transactions, Tx
from service_kit.testing.fakes import FixedClock, InMemoryIdempotencyKeys, InMemoryTransactions, staged

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOCK, KEEP, WAIT = 20, 86400, 1


@dataclass
class World:
    """Keys, and things that use cases make beside them."""

    keys: IdempotencyKeys
    transactions: Transactions
    make: Callable[[Tx, str], Awaitable[None]]
    made: Callable[[], Awaitable[list[str]]]
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))

    @property
    def idempotency(self) -> Idempotency:
        return Idempotency(self.keys, self.transactions, release_seconds=5)

    def making(
        self, name: str, *, before: asyncio.Event | None = None, fail: Exception | None = None
    ) -> Callable[[Transactions], Awaitable[str]]:
        """A use case that makes a thing, waiting for `before` inside its transaction, or failing there."""

        async def use_case(transactions: Transactions) -> str:
            async def work(tx: Tx) -> str:
                await self.make(tx, name)
                if before is not None:
                    await before.wait()
                if fail is not None:
                    raise fail
                return name

            return await transactions.run(work)

        return use_case

    async def once(self, given: KeyedRequest, use_case: Callable[[Transactions], Awaitable[str]]) -> Any:
        return await self.idempotency.once(given, use_case, answer=answered)


def answered(name: str) -> Recorded:
    return Recorded(201, {"ETag": '"1"'}, f'{{"made":"{name}"}}'.encode())


def asked(key: str = "k", *, org: str = "acme", body: bytes = b"{}") -> KeyedRequest:
    return KeyedRequest(org, key, fingerprint("POST", "/things", body))


async def claimed(keys: IdempotencyKeys, given: KeyedRequest) -> Claim:
    begun = await keys.begin(given)
    assert isinstance(begun, Claim)
    return begun


@pytest.fixture
async def mongo_world(mongo_client: Any, mongo_database: Any) -> World:
    """The port on MongoDB."""
    clock = FixedClock(NOW)
    keys = MongoIdempotencyKeys(
        mongo_database, clock=clock, lock_seconds=LOCK, keep_seconds=KEEP, wait_seconds=WAIT
    )
    await keys.prepare()
    await mongo_database.create_collection("things")

    async def insert(tx: Tx, name: str) -> None:
        await mongo_database["things"].insert_one({"name": name}, session=session_of(tx))

    async def read() -> list[str]:
        return [row["name"] for row in await mongo_database["things"].find({}).to_list(None)]

    return World(keys, MongoTransactions(mongo_client, timeout=10), insert, read, clock)


def memory_world() -> World:
    """The fake."""
    clock, things = FixedClock(NOW), list[str]()

    async def stage(tx: Tx, name: str) -> None:
        staged(tx, lambda: things.append(name))

    async def read() -> list[str]:
        return things

    keys = InMemoryIdempotencyKeys(clock=clock, lock_seconds=LOCK, keep_seconds=KEEP)
    return World(keys, InMemoryTransactions(), stage, read, clock)


@pytest.fixture(params=["memory", "mongo"])
def world(request: pytest.FixtureRequest) -> Any:
    """The port."""
    return memory_world() if request.param == "memory" else request.getfixturevalue("mongo_world")


async def test_the_first_answer_comes_again_for_the_same_key_and_body(world: World):
    first = await world.once(asked(), world.making("a"))
    again = await world.once(asked(), world.making("b"))
    assert first == (answered("a"), False)
    assert again == (answered("a"), True)
    assert await world.made() == ["a"]


async def test_another_body_under_the_same_key_is_refused_while_in_flight_and_after(world: World):
    gate = asyncio.Event()
    first = asyncio.create_task(world.once(asked(body=b'{"a":1}'), world.making("a", before=gate)))
    await asyncio.wait([first], timeout=0.05)
    with pytest.raises(KeyReused):
        await world.once(asked(body=b'{"a":2}'), world.making("b"))
    gate.set()
    await first
    with pytest.raises(KeyReused):
        await world.once(asked(body=b'{"a":2}'), world.making("b"))
    assert await world.made() == ["a"]


async def test_the_same_key_of_another_organisation_is_another_key(world: World):
    await world.once(asked(), world.making("a"))
    assert await world.once(asked(org="other", body=b"[]"), world.making("b")) == (answered("b"), False)


async def test_a_key_in_flight_is_refused_until_its_lock_runs_out(world: World):
    await claimed(world.keys, asked())
    world.clock.advance(LOCK - 1)
    with pytest.raises(KeyInFlight):
        await world.keys.begin(asked())
    world.clock.advance(1)
    await claimed(world.keys, asked())


async def test_a_use_case_that_raises_leaves_its_key_free_and_nothing_else(world: World):
    with pytest.raises(LookupError):
        await world.once(asked(), world.making("a", fail=LookupError()))
    assert await world.once(asked(body=b"[1]"), world.making("b")) == (answered("b"), False)
    assert await world.made() == ["b"]


async def test_a_run_that_raises_and_is_tried_again_records_the_run_that_commits(world: World):
    async def use_case(transactions: Transactions) -> str:
        with pytest.raises(LookupError):
            await world.making("a", fail=LookupError())(transactions)
        return await world.making("b")(transactions)

    assert await world.once(asked(), use_case) == (answered("b"), False)
    assert await world.once(asked(), use_case) == (answered("b"), True)
    assert await world.made() == ["b"]


async def test_a_use_case_that_changes_nothing_has_its_answer_recorded_too(world: World):
    async def use_case(_transactions: Transactions) -> str:
        return "as it was"

    assert await world.once(asked(), use_case) == (answered("as it was"), False)
    assert await world.once(asked(), world.making("a")) == (answered("as it was"), True)
    assert await world.made() == []


async def test_a_second_committed_transaction_under_one_key_is_refused(world: World):
    async def use_case(transactions: Transactions) -> str:
        await world.making("a")(transactions)
        return await world.making("b")(transactions)

    with pytest.raises(RuntimeError, match="one transaction only"):
        await world.once(asked(), use_case)
    assert await world.made() == ["a"]
    assert await world.once(asked(), use_case) == (answered("a"), True)


async def test_an_answer_that_cannot_be_made_undoes_the_effect(world: World):
    def broken(_name: str) -> Recorded:
        raise KeyError("no such field")

    with pytest.raises(KeyError):
        await world.idempotency.once(asked(), world.making("a"), answer=broken)
    assert await world.made() == []
    assert await world.once(asked(), world.making("b")) == (answered("b"), False)


async def test_an_owner_that_was_taken_over_cannot_commit_any_more(world: World):
    gate = asyncio.Event()

    async def slow(transactions: Transactions) -> str:
        await gate.wait()
        return await world.making("late")(transactions)

    late = asyncio.create_task(world.once(asked(), slow))
    await asyncio.wait([late], timeout=0.05)
    world.clock.advance(LOCK)
    assert await world.once(asked(), world.making("new")) == (answered("new"), False)
    gate.set()
    with pytest.raises(KeyInFlight):
        await late
    assert await world.made() == ["new"]
    assert await world.once(asked(), world.making("never")) == (answered("new"), True)


async def test_an_owner_that_was_taken_over_does_not_release_what_is_not_its_own(world: World):
    old = await claimed(world.keys, asked())
    world.clock.advance(LOCK)
    new = await claimed(world.keys, asked())
    await world.keys.release(old)
    with pytest.raises(KeyInFlight):
        await world.keys.begin(asked())
    await world.keys.release(new)
    await claimed(world.keys, asked())


async def test_a_finished_key_is_not_released(world: World):
    claim = await claimed(world.keys, asked())
    await world.transactions.run(lambda tx: world.keys.finish(tx, claim, answered("a")))
    await world.keys.release(claim)
    assert await world.keys.begin(asked()) == answered("a")


async def test_a_key_is_forgotten_after_its_time(world: World):
    await world.once(asked(), world.making("a"))
    world.clock.advance(KEEP - 1)
    assert await world.once(asked(), world.making("b")) == (answered("a"), True)
    world.clock.advance(1)
    assert await world.once(asked(body=b"[1]"), world.making("c")) == (answered("c"), False)
    assert await world.made() == ["a", "c"]


async def test_of_fifty_at_once_with_one_key_exactly_one_takes_effect(world: World):
    def attempt(number: int) -> Awaitable[Any]:
        return world.once(asked(), world.making(f"by {number}"))

    outcomes = await asyncio.gather(*(attempt(n) for n in range(50)), return_exceptions=True)
    made = await world.made()
    assert len(made) == 1
    answers = [outcome for outcome in outcomes if not isinstance(outcome, KeyInFlight)]
    assert {recorded.body for recorded, _ in answers} == {answered(made[0]).body}
    assert [replayed for _, replayed in answers].count(False) == 1


async def test_of_fifty_that_want_an_abandoned_key_exactly_one_takes_it_over(world: World):
    await claimed(world.keys, asked())
    world.clock.advance(LOCK)

    async def attempt(number: int) -> Any:
        return await world.once(asked(), world.making(f"by {number}"))

    outcomes = await asyncio.gather(*(attempt(n) for n in range(50)), return_exceptions=True)
    assert len(await world.made()) == 1
    answers = [outcome for outcome in outcomes if not isinstance(outcome, KeyInFlight)]
    assert [replayed for _, replayed in answers].count(False) == 1
