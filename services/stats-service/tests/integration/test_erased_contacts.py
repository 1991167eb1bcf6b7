"""A conversion and the erasure of its contact at the same moment, on real MongoDB."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import pytest
from service_kit.ports import Tx
from stats_service.bootstrap import Wiring
from stats_service.domain.conversion import Conversion
from stats_service.settings import Settings

pytestmark = pytest.mark.integration

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "a-secret-of-the-tests-that-is-long-enough"
Work: TypeAlias = Callable[[Tx], Awaitable[object]]


@pytest.fixture
async def wiring(mongo_url: str, mongo_database: Any) -> AsyncIterator[Wiring]:
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        mongo_url=mongo_url,
        jwt_secret=SECRET,
        jwt_algorithms=["HS256"],
    )
    wiring = Wiring(settings, database=mongo_database.name)
    await wiring.conversions.prepare()
    yield wiring
    await wiring.close()


def conversion(name: str) -> Conversion:
    """One of c1."""
    return Conversion(name, "acme", "camp_1", "c1", 0, "EUR", AT, AT)


@pytest.mark.parametrize("known", [False, True], ids=["its first conversion", "another one"])
@pytest.mark.parametrize("first", ["conversion", "erasure"])
async def test_a_conversion_that_is_told_of_while_its_contact_is_erased_does_not_keep_it(
    wiring: Wiring, mongo_database: Any, first: str, known: bool
) -> None:
    """The second begins, and tries to write, when the first has written everything and not committed."""
    transactions, conversions = wiring.transactions, wiring.conversions
    if known:
        await transactions.run(lambda tx: conversions.add(tx, conversion("conv_0")))
    add: Work = partial(conversions.add, conversion=conversion("conv_1"))
    erase: Work = partial(conversions.forget_contact, org="acme", contact="c1")
    one, two = (add, erase) if first == "conversion" else (erase, add)
    tried = asyncio.Event()
    running: list[asyncio.Task[None]] = []

    async def second(tx: Tx) -> None:
        try:
            await two(tx)
        finally:
            tried.set()

    async def held(tx: Tx) -> None:
        await one(tx)
        if not running:
            running.append(asyncio.create_task(transactions.run(second)))
            await tried.wait()

    await transactions.run(held)
    await running[0]
    rows = await mongo_database["conversions"].find({}).to_list(None)
    assert [row["contactId"] for row in rows] == [None] * (1 + known)
