"""Aggregators on real Kafka and MongoDB, killed, stopped, joining and leaving: every number equals a recount.

Campaigns are counted again all the while, by jobs that are killed too. A short form runs in `make test`;
`make chaos` counts a million outcomes. A seed decides all but the machine's speed: `SEED=7` repeats one.
"""

import asyncio
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from time import monotonic
from typing import Any, Literal, NamedTuple

import pytest
from chaos.histories import LONG, SHORT, Size, history, in_pieces
from contracts.catalogue import decode
from contracts.events.statistics import CampaignStatistics
from service_kit.testing.waiting import eventually
from stats_service.domain.dimensions import ALL

pytestmark = pytest.mark.integration

PATIENCE = 120
Kind = Literal["kill", "kill both", "leave", "pause", "rebuild"]


class Form(NamedTuple):
    """What happens, how often."""

    size: Size
    faults: dict[Kind, int]
    longest: float
    """Seconds of a pause, or of a rebuild until it is killed. A long pause is longer than what a transaction may
    take, and than Kafka waits for a member."""


FORMS = {
    "short": Form(SHORT, {"kill": 2, "leave": 1, "pause": 1}, longest=0.5),
    "long": Form(LONG, {"kill": 24, "kill both": 4, "leave": 6, "pause": 6, "rebuild": 8}, longest=12),
}


class Fault(NamedTuple):
    """One fault: some seconds after the numbers were seen to move, to one of the two."""

    kind: Kind
    after: float
    to: int
    seconds: float


def faults(form: Form, random: Random) -> Iterator[Fault]:
    """In an order, at moments, and to whom the seed decides."""
    kinds: list[Kind] = [kind for kind, times in form.faults.items() for _ in range(times)]
    random.shuffle(kinds)
    for kind in kinds:
        yield Fault(kind, random.uniform(0, 0.8), random.randrange(2), random.uniform(0.2, form.longest))


@dataclass
class Sufferers:
    """The two aggregators, and a job that counts a campaign again."""

    aggregators: list[Any]
    rebuild: Any
    killed: int = 0
    ends: list[int] = field(default_factory=list)
    """Exit codes of the jobs."""

    async def both_run(self) -> None:
        for one in self.aggregators:
            if not one.runs:
                await one.start(FOLD_BATCH="50")

    async def suffer(self, fault: Fault) -> None:
        victim = self.aggregators[fault.to]
        if fault.kind == "pause":
            victim.send(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            victim.send(signal.SIGCONT)
        elif fault.kind == "leave":
            await victim.end(signal.SIGTERM)
        elif fault.kind == "rebuild":
            self.ends.append(await self.rebuild.run_for(fault.seconds if fault.to else PATIENCE))
        else:
            for one in self.aggregators if fault.kind == "kill both" else [victim]:
                await one.end(signal.SIGKILL)
                self.killed += 1


async def test_killed_again_and_again_the_numbers_equal_a_recount(
    aggregators: list[Any], topics: Any, shelf_of: Any, recounted: Any, database: Any, job: Any, capsys: Any
) -> None:
    form, begun = FORMS[os.environ.get("CRASH_LOOP", "short")], monotonic()
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    say(capsys, f"SEED={seed}")
    messages = history(seed, form.size, datetime.now(UTC), run=secrets.token_hex(4))
    campaign = next(message.key for message in messages if message.topic == "campaign-events")
    sufferers = Sufferers(aggregators, job("rebuild", campaign))
    plan = list(faults(form, Random(seed)))
    for piece, fault in zip(in_pieces(messages, len(plan)), plan, strict=True):
        await sufferers.both_run()
        before = await topics.reached()
        await topics.publish(piece)
        await eventually(topics.reached, partial(_more, before), seconds=PATIENCE, every=0.02)
        await asyncio.sleep(fault.after)
        await sufferers.suffer(fault)
    await sufferers.both_run()
    await topics.are_folded()
    say(capsys, f"{sufferers.killed} killed, {monotonic() - begun:.0f} s, rebuilds: {sufferers.ends}")
    for name, book in recounted(messages).items():
        await shelf_of(database).equals(name, book)
        await _the_last_announcement_agrees(database, name, book.totals)
    await _counted_again_nothing_changes(job, campaign)


def say(capsys: Any, text: str) -> None:
    """Show it whether the test fails or not."""
    with capsys.disabled():
        print(f"\n{text}")


def _more(before: int, now: int) -> bool:
    return now > before


async def _the_last_announcement_agrees(database: Any, campaign: str, totals: Any) -> None:
    async def last_told() -> tuple[int, int]:
        rows = await database["outbox"].find({"key": campaign}).to_list(None)
        told = [decode(bytes(row["value"])).data for row in rows]
        last = max(told, key=lambda data: data.revision).statistics if told else CampaignStatistics()
        return last.messages_sent, last.conversions_achieved

    expected = (totals[ALL, "sent"], totals[ALL, "converted"])
    await eventually(last_told, lambda now: now == expected)


async def _counted_again_nothing_changes(job: Any, campaign: str) -> None:
    again, unknown = await asyncio.gather(job("rebuild", campaign).run(), job("rebuild", "camp_none").run())
    assert again[0] == 0, again
    assert "every number is as it was" in again[1]
    assert unknown[::2] == (1, "error: there is no campaign camp_none\n")
