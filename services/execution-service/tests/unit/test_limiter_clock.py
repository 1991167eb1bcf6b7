"""However slowly the limiter answers: no second holds more dispatches than the rate, and slots come of use.

The limiter's own code, on a row of slots as the script keeps it, for processes with clocks of their own. All
moments are drawn: how long a request and an answer take, how late a process wakes up.
"""

import heapq
import itertools
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from types import coroutine
from typing import Any

import pytest
from execution_service.adapters.redis_limiter import EMPTY_START, HORIZON, RedisLimiter
from execution_service.application.ports_sending import Sharer, Slot
from execution_service.domain.bot import BotLimits, pace
from execution_service.domain.clock_offset import DRIFT, ClockOffset
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 40
KEPT = pace(RATE)
SHARER = Sharer(7, BotLimits(RATE, RATE, RATE * 60), False, "exec_1", 2)
EPOCH = 1.8e15


@coroutine
def sleep(seconds: float) -> Generator[float, None, None]:
    """For processes of this file."""
    yield seconds


@dataclass
class World:
    """True time, in seconds; and the server, whose clock is the one that the rate is measured on."""

    delays: Iterator[float]
    now: float = 0.0
    free: float = EPOCH + EMPTY_START
    sent: list[float] = field(default_factory=list)

    def register_script(self, _: str) -> Callable[..., Coroutine[Any, Any, list[float]]]:
        return self._reserve

    async def _reserve(self, keys: list[str], args: list[Any]) -> list[float]:
        await sleep(next(self.delays))
        spacing, enough, lead, letters = args[0], args[1], args[3], len(args[8])
        now = EPOCH + self.now * 1e6
        first = max(self.free, now + lead)
        dealt = min(letters, enough)
        beyond = first + (dealt - 1) * spacing - (now + HORIZON)
        answer = [0, max(1_000, beyond), now] if beyond > 0 else [dealt, first, now]
        if beyond <= 0:
            self.free = first + dealt * spacing
        await sleep(next(self.delays))
        return answer

    def run(self, processes: Sequence[Coroutine[Any, Any, None]], seconds: float) -> None:
        """All of them, in the order of true time."""
        order = itertools.count()
        queue = [(0.0, next(order), process) for process in processes]
        while queue and queue[0][0] < seconds:
            self.now, _, process = heapq.heappop(queue)
            heapq.heappush(queue, (self.now + max(1e-6, process.send(None)), next(order), process))
        for *_, process in queue:
            process.close()


async def sending(world: World, *, offset: float, drift: float, stalls: Iterator[float]) -> None:
    """A process that sends as SendWindow does: each at its slot, the missed ones at new ones."""

    def clock() -> float:
        return world.now * (1 + drift) + offset

    limiter = RedisLimiter(world, clock=clock)  # type: ignore[arg-type]
    missed: list[Slot] = []
    while True:
        grant = await limiter.reserve(SHARER, range(1, 9), missed=missed)
        missed = []
        await sleep(grant.wait)
        for slot in grant.slots:
            await sleep(max(0.0, slot.at - KEPT.early - clock()) + next(stalls))
            if clock() > slot.until:
                missed.append(slot)
            else:
                world.sent.append(world.now + min(next(stalls), KEPT.leaving))


def most_in_a_second(times: Sequence[float]) -> int:
    """The greatest number in any half-open second, but for a microsecond of rounding."""
    times, begin, most = sorted(times), 0, 0
    for end, at in enumerate(times):
        while at - times[begin] >= 1 - 1e-6:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def simulated(
    delays: Iterator[float], stalls: Iterator[float], *, seconds: float, drifts: Sequence[float]
) -> list[float]:
    """When messages left, of processes whose clocks run so much too fast."""
    world = World(delays)
    world.run(
        [sending(world, offset=1e3 * n, drift=drift, stalls=stalls) for n, drift in enumerate(drifts)],
        seconds,
    )
    return world.sent


_DELAYS = st.lists(st.sampled_from([0.0, 0.0002, 0.003, 0.012, 0.02, 0.1]), min_size=1, max_size=40)
_STALLS = st.lists(st.sampled_from([0.0, 0.0, 0.0003, 0.004, 0.0099, 0.02, 0.3]), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(_DELAYS, _STALLS, st.lists(st.sampled_from([-DRIFT / 2, 0.0, DRIFT / 2]), min_size=1, max_size=4))
def test_no_second_holds_more_than_the_rate_whatever_answers_and_processes_are_late(
    delays: list[float], stalls: list[float], drifts: list[float]
) -> None:
    sent = simulated(itertools.cycle(delays), itertools.cycle(stalls), seconds=5, drifts=drifts)
    assert most_in_a_second(sent) <= RATE


def test_after_slow_answers_the_clock_is_soon_known_well_enough_to_use_the_rate() -> None:
    """Answers that take up to 80 ms, where slots may be missed by 10: it is the shortest that count."""
    random = Random(6)
    for _ in range(20):
        delays = iter(lambda: random.uniform(0.0, 0.04), None)
        sent = simulated(delays, itertools.repeat(0.0), seconds=12, drifts=[0.0, DRIFT / 2, -DRIFT / 2, 0.0])
        assert most_in_a_second(sent) <= RATE
        assert sum(at >= 8 for at in sent) >= 0.9 * 4 * RATE


@given(st.data())
def test_the_offset_lies_between_the_bounds_while_clocks_drift(data: st.DataObject) -> None:
    offset, clocks, now = 5.0, ClockOffset(), 0.0
    for _ in range(data.draw(st.integers(1, 30))):
        idle, there, back = (data.draw(st.floats(0, longest)) for longest in (60, 0.1, 0.1))
        asked, server, heard = now + idle, now + idle + there, now + idle + there + back
        # Not the whole: a drift is of the server's seconds here and of the loop's there.
        drift = data.draw(st.floats(-0.999 * DRIFT, 0.999 * DRIFT))
        now = heard
        shift = drift * (heard - (asked - idle))
        before, offset = offset, offset + shift
        lower, upper = clocks.narrow(asked=asked + before + drift * idle, server=server, heard=heard + offset)
        assert lower - 1e-9 <= offset <= upper + 1e-9
        assert upper - lower <= there + back + 1e-4


@pytest.mark.parametrize("server", [41.0, 142.0])
def test_a_clock_that_was_set_is_believed_at_once(server: float) -> None:
    clocks = ClockOffset()
    clocks.narrow(asked=100.0, server=50.0, heard=100.001)
    bounds = clocks.narrow(asked=101.0, server=server, heard=101.001)
    assert bounds == pytest.approx((101.0 - server, 101.001 - server), abs=1e-6)
