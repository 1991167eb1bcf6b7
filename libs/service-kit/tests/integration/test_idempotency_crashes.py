"""Requests under an Idempotency-Key whose process or task dies at every line that matters.

The retry comes with the same key, after the lock has run out. Whatever the victim did, there is one effect.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from service_kit.crypto import SecretBox
from service_kit.idempotency.keys import Claim, KeyedRequest, KeyInFlight, Recorded
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.mongo.transactions import MongoTransactions, session_of
from service_kit.ports import Transactions, Tx
from service_kit.testing.fakes import FixedClock
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOCK, KEEP, WAIT = 20, 86400, 1
VICTIM = Path(__file__).with_name("idempotency_victim.py")
REQUEST = KeyedRequest("acme", "k", "fingerprint")
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def answered(name: str) -> Recorded:
    return Recorded(201, {}, name.encode())


class Service:
    """A process's parts on one database; `after` seconds have passed since the victim began."""

    def __init__(self, client: Any, database: Any, *, after: float = 0) -> None:
        self.database = database
        self.clock = FixedClock(NOW)
        self.clock.advance(after)
        self.keys = MongoIdempotencyKeys(
            database, clock=self.clock, lock_seconds=LOCK, keep_seconds=KEEP, wait_seconds=WAIT
        )
        self.idempotency = Idempotency(self.keys, MongoTransactions(client, timeout=30), release_seconds=5)

    def making(self, name: str) -> Callable[[Transactions], Awaitable[str]]:
        async def use_case(transactions: Transactions) -> str:
            async def work(tx: Tx) -> str:
                await self.database["things"].insert_one({"name": name}, session=session_of(tx))
                return name

            return await transactions.run(work)

        return use_case

    async def ask(self, name: str) -> tuple[Recorded, bool]:
        return await self.idempotency.once(REQUEST, self.making(name), answer=answered)

    async def made(self) -> list[str]:
        return [row["name"] for row in await self.database["things"].find({}).to_list(None)]


@pytest.fixture
async def service(mongo_client: Any, mongo_database: Any) -> Service:
    """A living process, just now."""
    made = Service(mongo_client, mongo_database)
    await made.keys.prepare()
    await mongo_database.create_collection("things")
    return made


@pytest.mark.parametrize(
    ("point", "answer"),
    [
        ("claimed", (answered("retry"), False)),
        ("made", (answered("retry"), False)),
        ("recorded", (answered("retry"), False)),
        ("committed", (answered("victim"), True)),
    ],
)
async def test_after_kill_9_the_retry_makes_one_thing_or_gets_the_first_answer(
    point: str, answer: Any, service: Service, mongo_url: str, mongo_client: Any
):
    victim = await asyncio.create_subprocess_exec(
        sys.executable, str(VICTIM), mongo_url, service.database.name, point
    )
    assert await victim.wait() == -signal.SIGKILL
    if point != "committed":
        with pytest.raises(KeyInFlight):
            await service.ask("too soon")

    later = Service(mongo_client, service.database, after=LOCK)

    async def retry() -> Any:
        try:
            return await later.ask("retry")
        except KeyInFlight as refused:  # the server has not ended the abandoned transaction yet
            return refused

    outcome = await eventually(retry, lambda it: not isinstance(it, KeyInFlight), seconds=40, every=0.5)
    assert outcome == answer
    assert await later.made() == [answer[0].body.decode()]
    assert await later.ask("again") == (answer[0], True)


class _Waiting(MongoIdempotencyKeys):
    """Waits, inside the transaction, with the answer recorded and not committed."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            service.database, clock=service.clock, lock_seconds=LOCK, keep_seconds=KEEP, wait_seconds=WAIT
        )
        self.recorded, self.go_on = asyncio.Event(), asyncio.Event()

    async def finish(self, tx: Tx, claim: Claim, answer: Recorded) -> None:
        await super().finish(tx, claim, answer)
        self.recorded.set()
        await self.go_on.wait()


def _begin_and_wait(service: Service) -> tuple[_Waiting, asyncio.Task[Any]]:
    """A request that stands just before its commit, once `recorded` is set."""
    keys = _Waiting(service)
    idempotency = Idempotency(keys, service.idempotency.transactions, release_seconds=5)
    return keys, asyncio.create_task(idempotency.once(REQUEST, service.making("first"), answer=answered))


async def test_a_takeover_never_wins_against_a_transaction_that_has_recorded_its_answer(
    service: Service, mongo_client: Any
):
    keys, first = _begin_and_wait(service)
    await keys.recorded.wait()
    later = Service(mongo_client, service.database, after=LOCK)
    with pytest.raises(KeyInFlight):
        await later.ask("while the transaction is open")
    waits = asyncio.create_task(later.ask("while it commits"))
    keys.go_on.set()
    assert await first == (answered("first"), False)
    assert await waits == (answered("first"), True)
    assert await service.made() == ["first"]


async def test_a_task_cancelled_before_its_commit_leaves_nothing_and_the_key_comes_free(
    service: Service, mongo_client: Any
):
    keys, first = _begin_and_wait(service)
    await keys.recorded.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await service.made() == []
    with pytest.raises(KeyInFlight):
        await service.ask("too soon")
    later = Service(mongo_client, service.database, after=LOCK)
    assert await later.ask("retry") == (answered("retry"), False)
    assert await service.made() == ["retry"]


async def test_a_task_cancelled_after_its_commit_is_answered_from_the_record(service: Service):
    committed = asyncio.Event()

    async def use_case(transactions: Transactions) -> str:
        result = await service.making("first")(transactions)
        committed.set()
        await asyncio.Event().wait()
        return result

    first = asyncio.create_task(service.idempotency.once(REQUEST, use_case, answer=answered))
    await committed.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await service.ask("retry") == (answered("first"), True)
    assert await service.made() == ["first"]


async def test_an_error_after_the_commit_does_not_free_the_key(service: Service):
    async def use_case(transactions: Transactions) -> str:
        await service.making("first")(transactions)
        raise TimeoutError("the answer to the commit was lost")

    with pytest.raises(TimeoutError):
        await service.idempotency.once(REQUEST, use_case, answer=answered)
    assert await service.ask("retry") == (answered("first"), True)


async def test_a_transaction_that_collides_with_a_takeover_aborts_even_if_it_began_before_it(
    service: Service, mongo_client: Any
):
    """The old owner has made its thing, but not recorded it, when the key is taken over."""
    made, go_on = asyncio.Event(), asyncio.Event()

    async def use_case(transactions: Transactions) -> str:
        async def work(tx: Tx) -> str:
            await service.database["things"].insert_one({"name": "old"}, session=session_of(tx))
            made.set()
            await go_on.wait()
            return "old"

        return await transactions.run(work)

    old = asyncio.create_task(service.idempotency.once(REQUEST, use_case, answer=answered))
    await made.wait()
    later = Service(mongo_client, service.database, after=LOCK)
    assert await later.ask("new") == (answered("new"), False)
    go_on.set()
    with pytest.raises(KeyInFlight):
        await old
    assert await service.made() == ["new"]


async def test_a_sealed_answer_is_not_readable_in_the_database_and_comes_back_whole(service: Service):
    keys = MongoIdempotencyKeys(
        service.database,
        clock=service.clock,
        lock_seconds=LOCK,
        keep_seconds=KEEP,
        wait_seconds=WAIT,
        box=SecretBox(f"k1:{KEY}"),
    )
    idempotency = Idempotency(keys, service.idempotency.transactions, release_seconds=5)
    for replayed in (False, True):
        outcome = await idempotency.once(REQUEST, service.making("whsec_secret 🤫"), answer=answered)
        assert outcome == (answered("whsec_secret 🤫"), replayed)
    row = await service.database["idempotency"].find_one({})
    assert "whsec_secret" not in repr(row)
    assert "body" not in row


async def test_old_keys_are_forgotten_by_an_index(service: Service):
    index = (await service.database["idempotency"].index_information())["createdAt_1"]
    assert index["expireAfterSeconds"] == KEEP
