"""The frequency cap: nobody gets more than it allows, whichever campaigns send and whatever fails."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from execution_service.application.ports_counting import CountMoved
from execution_service.bootstrap_engine import make_planner
from execution_service.domain.org_settings import FrequencyCap, OrgSettings
from execution_service.domain.recent_sends import Block
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
ONE_A_DAY = FrequencyCap(1, 24)


async def settle(engine: Any, cap: FrequencyCap) -> None:
    """The organisation's cap, and a bot that need not wait between two messages to a chat."""
    engine.bot = await engine.new_bot(per_chat_per_second=1_000)
    settings = OrgSettings("acme", frequency_cap=cap, version=1)
    await engine.wiring.transactions.run(lambda tx: engine.wiring.org_settings.put(tx, settings))


def started(engine: Any, **options: Any) -> Any:
    return engine.started(bot_id=engine.bot.bot_id, **options)


async def codes(engine: Any, execution_id: str) -> dict[str, int]:
    return dict((await engine.wiring.shards.sums(execution_id)).errors)


async def completed(engine: Any, *execution_ids: str) -> None:
    """Plan them and send them, with two workers at once."""
    for _ in execution_ids:
        await make_planner(engine.wiring).run_once("planner")
    async with engine.working("one"), engine.working("two"):
        for execution_id in execution_ids:
            await engine.ended(execution_id)


async def test_two_campaigns_at_once_send_each_person_what_the_cap_allows_in_all(engine: Any) -> None:
    await settle(engine, ONE_A_DAY)
    await engine.contacts(range(1, 201))
    first, second = [await engine.accept(started(engine)) for _ in range(2)]
    await completed(engine, first, second)
    assert engine.deliveries() == Counter(range(1, 201))
    outcomes = [await engine.ledger_agrees(execution_id) for execution_id in (first, second)]
    assert [sum(counts.values()) for counts in outcomes] == [200, 200]
    capped = [(await codes(engine, execution_id)).get("FREQUENCY_CAP", 0) for execution_id in (first, second)]
    assert sum(capped) == 200
    assert [counts["successful"] for counts in outcomes] == capped[::-1]


async def test_what_was_not_delivered_does_not_count_and_a_test_neither(engine: Any) -> None:
    await settle(engine, ONE_A_DAY)
    blocked = list(range(1, 31))
    engine.telegram.configure(blocked_chats=blocked)
    await engine.contacts(range(1, 61), tester=True)
    first = await engine.accept(started(engine))
    await completed(engine, first)
    got = set(engine.deliveries())
    assert got == set(range(31, 61))
    engine.telegram.configure()
    await engine.database["contacts"].update_many({}, {"$unset": {"unreachable": ""}})
    test = await engine.accept(started(engine, test_mode=True))
    await completed(engine, test)
    assert await codes(engine, test) == {}
    second = await engine.accept(started(engine))
    await completed(engine, second)
    assert await codes(engine, second) == {"FREQUENCY_CAP": len(got)}
    assert engine.deliveries() == Counter(dict.fromkeys(range(1, 61), 2))


async def test_the_cap_holds_across_the_messages_of_one_campaign_and_tells_who_is_at_it(engine: Any) -> None:
    await settle(engine, FrequencyCap(2, 24))
    await engine.contacts(range(1, 26))
    execution_id = await engine.accept(started(engine, messages=3))
    await completed(engine, execution_id)
    assert engine.deliveries() == Counter(dict.fromkeys(range(1, 26), 2))
    assert await codes(engine, execution_id) == {"FREQUENCY_CAP": 25}
    now, sends = engine.wiring.clock.now(), engine.wiring.recent_sends
    recent = await sends.recent("acme", FrequencyCap(2, 24), range(4096), now=now)
    assert recent == dict.fromkeys(range(1, 26), 2)
    assert set(await sends.recent("acme", FrequencyCap(2, 24), range(11, 21), now=now)) == set(range(11, 21))
    later = now + timedelta(hours=25)
    assert await sends.recent("acme", FrequencyCap(2, 24), range(4096), now=later) == {}
    assert await sends.recent("other", FrequencyCap(2, 24), range(4096), now=now) == {}


async def test_what_two_windows_count_of_the_same_person_is_stored_by_one_of_them(engine: Any) -> None:
    sends, now = engine.wiring.recent_sends, engine.wiring.clock.now()
    until = now + timedelta(hours=1)

    async def take(block: Block, message: str) -> None:
        taken = block.take([7], message, until=now, cap=ONE_A_DAY, now=now)

        async def work(tx: Tx) -> None:
            await sends.write(tx, "acme", [taken], until=until)

        await engine.wiring.transactions.run(work)

    for round_ in range(2):  # nothing is stored yet; something is
        seen = (await sends.read("acme", [0]))[0]
        tries = await asyncio.gather(
            *(take(seen, f"{round_}.{number}") for number in range(4)), return_exceptions=True
        )
        assert [type(one) for one in tries if one is not None] == [CountMoved] * 3
        assert len((await sends.read("acme", [0]))[0].sends) == round_ + 1


async def test_nobody_is_forgotten_earlier_for_what_is_written_later(engine: Any) -> None:
    """A window that ends, or one under shorter hours, may write after one that must be remembered longer."""
    sends, now = engine.wiring.recent_sends, engine.wiring.clock.now().replace(microsecond=0)
    for hours in (24, 1):
        block = (await sends.read("acme", [0]))[0]

        async def work(tx: Tx, block: Block = block, hours: int = hours) -> None:
            await sends.write(tx, "acme", [block], until=now + timedelta(hours=hours))

        await engine.wiring.transactions.run(work)
    row = await engine.database["recent_sends"].find_one({})
    assert (row["until"], row["revision"]) == (now + timedelta(hours=24), 2)
