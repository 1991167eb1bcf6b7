"""What one recipient costs in storage, and that nothing of an outcome is lost for it."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import bson
import pytest
from contracts.ids import new_id
from execution_service.application.counts import Counts
from execution_service.application.ports_engine import ShardLease
from execution_service.application.ports_sending import Rendered
from execution_service.application.prepare_window import Letter, Prepared
from execution_service.application.record_window import RecordWindow
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import Back, Candidate, Final
from execution_service.domain.window import candidates
from execution_service.metrics_engine import PrometheusObserver
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
BYTES_PER_RECIPIENT = 120
COLLECTIONS = ("shards", "shard_contacts", "windows", "outbox")
SHARD = 500


async def in_shards(engine: Any, execution: Execution, contacts: Sequence[str]) -> None:
    """The execution's shards, as planning makes them."""
    for number in range(len(contacts) // SHARD):
        part, due = contacts[number * SHARD : (number + 1) * SHARD], engine.wiring.clock.now()

        async def work(tx: Tx, number: int = number, part: Sequence[str] = part) -> None:
            await engine.wiring.shards.add(tx, execution, number=number, part=0, contacts=part, due=due)  # noqa: B023

        await engine.wiring.transactions.run(work)


class Outcomes:
    """Outcomes as a real evening has them, and a note of each."""

    def __init__(self, seed: int, segments: tuple[str, ...]) -> None:
        self._dice = random.Random(seed)
        self._messages = 4_812_345
        self._segments = [(), *[segments[:n] for n in range(1, len(segments))], segments]
        self.noted: dict[str, Final] = {}

    def placed(self, candidate: Candidate) -> Candidate:
        """In none, some or all of the segments, as it comes."""
        return candidate.within(self._dice.choice(self._segments))

    def of(self, lease: ShardLease, candidate: Candidate, at: Any) -> Final | Back:
        segments = candidate.segments
        draw, variation = self._dice.random(), self._dice.choice((None, "variation-a", "variation-b"))
        at += timedelta(milliseconds=self._dice.randrange(250))
        if draw < 0.02 and not candidate.waits:
            return Back(Candidate(candidate.position, waits=1), at)
        if draw < 0.9:
            self._messages += self._dice.randrange(1, 9)
            final = Final(
                candidate.position, "successful", at, None, variation, self._messages, True, segments
            )
        elif draw < 0.97:
            code = self._dice.choice(("USER_BLOCKED", "CHAT_NOT_FOUND", "BAD_REQUEST"))
            final = Final(candidate.position, "failed", at, code, variation, None, True, segments)
        elif draw < 0.98:
            final = Final(
                candidate.position, "unknown", at, "DELIVERY_UNKNOWN", variation, None, True, segments
            )
        else:
            final = Final(candidate.position, "skipped", at, "OPTED_OUT", segments=segments)
        self.noted[lease.contacts[candidate.position]] = final
        return final


async def run_to_the_end(engine: Any, execution: Execution, outcomes: Outcomes, window_size: int) -> None:
    """What a worker stores of a shard after another, without Telegram."""
    record = RecordWindow(
        shards=engine.wiring.shards, ledger=engine.wiring.ledger, transactions=engine.wiring.transactions,
        outbox=engine.wiring.outbox, clock=engine.wiring.clock, observer=PrometheusObserver(),
        counts=Counts(spending=engine.wiring.spending, sends=engine.wiring.recent_sends), lease_seconds=60,
    )  # fmt: skip
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        now = engine.wiring.clock.now() + timedelta(seconds=1)
        lease = await engine.wiring.shards.lease("worker", now=now, seconds=60, deadline=deadline)
        if lease is None:
            return
        while not lease.state.done:
            due = candidates(lease.state, limit=window_size, now=now + timedelta(minutes=1))
            turn = [outcomes.placed(item) for item in due]
            letters = [
                Letter(item, lease.contacts[item.position], 1, None, Rendered("", "none")) for item in turn
            ]
            window = await record.open(lease, execution, Prepared(letters, turn))
            at = window.opened_at
            await record.close(lease, execution, window, [outcomes.of(lease, item, at) for item in turn])


@pytest.mark.parametrize(("contacts", "window_size", "segments"), [(20_000, 100, 3), (2_000, 7, 1)])
async def test_a_recipient_takes_few_bytes_in_all_collections_together(
    engine: Any, contacts: int, window_size: int, segments: int
) -> None:
    """Windows of 7 are those of a bot with 30 messages a second."""
    execution = await engine.execution(await engine.accept(engine.started()))
    await in_shards(engine, execution, [new_id("con") for _ in range(contacts)])
    outcomes = Outcomes(contacts, tuple(new_id("seg") for _ in range(segments)))
    await run_to_the_end(engine, execution, outcomes, window_size)

    stored = {
        name: sum([len(bson.encode(row)) async for row in engine.database[name].find()]) / contacts
        for name in COLLECTIONS
    }
    page = await engine.wiring.pages.page(
        execution.execution_id, status=None, code=None, limit=contacts, cursor=None
    )
    assert {
        row.contact_id: (row.status, row.error_code, row.variation_id, row.message_id, row.at)
        for row in page.rows
    } == {
        contact: (final.status, final.code, final.variation_id, final.message_id, final.at)
        for contact, final in outcomes.noted.items()
    }
    assert len(page.rows) == contacts
    stands = [
        stand
        for number in range(contacts // SHARD)
        for stand in await engine.wiring.pages.shard(execution.execution_id, number)
    ]
    assert {stand.contact_id: stand.final.segments for stand in stands} == {
        contact: final.segments for contact, final in outcomes.noted.items()
    }
    # The event leaves the outbox as soon as it is published.
    assert sum(stored[name] for name in COLLECTIONS if name != "outbox") <= BYTES_PER_RECIPIENT
