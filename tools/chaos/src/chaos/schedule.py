"""What happens to an execution, and when: a pure function of a seed.

Mental model: a fault is due when so many contacts have an outcome, plus a part of a second that has nothing
to do with windows or shards. So a seed means the same moments of an execution on a fast machine and on a
slow one. Kills and pauses are done one after the other; a partition lasts beside what comes next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

WORKERS = ("execution-worker", "execution-worker-2", "execution-worker-3")
SENDING = ("execution-planner", "execution-relay", "kafka", "mongo", "redis")
"""What an execution leans on beside its workers."""
OTHERS = (
    "execution-api", "campaign-api", "campaign-relay", "campaign-consumer", "stats-aggregator", "stats-relay",
    "webhook-relay", "webhook-consumer", "webhook-deliverer",
)  # fmt: skip
PROXIED = ("kafka", "redis")
How = Literal["cut", "silent", "deaf"]
HOWS: tuple[How, ...] = ("cut", "silent", "deaf")
"""Connections refused and broken; nothing arrives there; what arrives there is done and never answered."""


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything. Kills of pauses and partitions come on top of `kills`."""

    name: str
    contacts: int
    rate: int
    """Messages a second that the bot may send."""
    kills: int
    pauses: int
    partitions: int
    longest_partition: float
    """Seconds."""


LONG = Form("long", contacts=20_000, rate=300, kills=32, pauses=12, partitions=8, longest_partition=12)
SHORT = Form("short", contacts=1_800, rate=200, kills=6, pauses=1, partitions=1, longest_partition=2)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `kill` is killed with it: at once, or `later` seconds into a pause or a partition."""

    at: int
    """Contacts with an outcome."""
    delay: float
    """Seconds after `at` was seen."""
    kind: Literal["kill", "pause", "partition"]
    kill: tuple[str, ...] = ()
    later: float = 0
    seconds: float = 0
    """How long a pause or a partition lasts."""
    part: str = ""
    how: How | None = None


def schedule(seed: int, form: Form) -> list[Fault]:
    """The faults in their order."""
    random = Random(seed)  # noqa: S311 - to be repeated
    faults = [
        *_kills(random, form.kills),
        *_pauses(random, form.pauses),
        *_partitions(random, form),
    ]
    random.shuffle(faults)
    # Spread evenly, each somewhere in its share: none of the execution's phases is left out.
    share = (form.contacts - 3 * form.rate) / len(faults)
    spread = [
        replace(fault, at=int((number + random.random()) * share), delay=round(random.uniform(0, 0.6), 3))
        for number, fault in enumerate(faults)
    ]
    # The audience is planned in the first seconds: a planner always dies then.
    return [
        Fault(at=0, delay=round(random.uniform(0, 1.5), 3), kind="kill", kill=("execution-planner",)),
        *spread,
    ]


def _kills(random: Random, count: int) -> Iterator[Fault]:
    """Each part at least once; then half of them workers, now and then all workers at once."""
    for number in range(count):
        if number < len(SENDING):
            yield _kill(SENDING[number])
        elif number == len(SENDING) and count > 10:
            yield _kill(*WORKERS)
        elif random.random() < 0.55 or number <= len(SENDING) + 1:
            yield _kill(random.choice(WORKERS))
        else:
            yield _kill(random.choice((*SENDING, *OTHERS)))


def _kill(*names: str) -> Fault:
    return Fault(at=0, delay=0, kind="kill", kill=names)


def _pauses(random: Random, count: int) -> Iterator[Fault]:
    """Every other one with a death in it."""
    for number in range(count):
        kill = (random.choice((*WORKERS, *SENDING)),) if number % 2 else ()
        yield Fault(
            at=0, delay=0, kind="pause", kill=kill, later=round(random.uniform(0, 2.5), 3),
            seconds=round(random.uniform(2.2, 4), 3),
        )  # fmt: skip


def _partitions(random: Random, form: Form) -> Iterator[Fault]:
    """Kafka and Redis in turn, each way in turn, every other one with a death in it."""
    for number in range(form.partitions):
        kill = (random.choice((*WORKERS, "execution-planner", "execution-relay")),) if number % 2 else ()
        seconds = random.uniform(form.longest_partition / 3, form.longest_partition)
        yield Fault(
            at=0, delay=0, kind="partition", kill=kill, later=round(random.uniform(0, seconds), 3),
            seconds=round(seconds, 3), part=PROXIED[number % 2], how=HOWS[(number // 2) % 3],
        )  # fmt: skip


def without_partitions(faults: Sequence[Fault]) -> list[Fault]:
    """For a machine that has no proxy."""
    return [fault for fault in faults if fault.kind != "partition"]


def kills_in(faults: Sequence[Fault]) -> int:
    """How many processes the schedule kills."""
    return sum(len(fault.kill) for fault in faults)


def as_table(seed: int, form: Form, faults: Sequence[Fault]) -> str:
    """For people: the seed, and what is due when."""
    head = (
        f"seed {seed}, {form.name} form: {form.contacts} contacts at {form.rate}/s, "
        f"{kills_in(faults)} kills, "
        f"{sum(fault.kind == 'pause' for fault in faults)} pauses, "
        f"{sum(fault.kind == 'partition' for fault in faults)} partitions (SEED={seed} repeats it)"
    )
    return "\n".join([head, "processed  after  what", *(_line(fault) for fault in faults)])


def _line(fault: Fault) -> str:
    names = ", ".join(fault.kill)
    what = {
        "kill": f"kill {names}",
        "pause": f"pause for {fault.seconds:.1f} s",
        "partition": f"{fault.part} {fault.how} for {fault.seconds:.1f} s",
    }[fault.kind]
    if fault.kill and fault.kind != "kill":
        what += f", after {fault.later:.1f} s kill {names}"
    return f"{fault.at:9d}  {fault.delay:4.1f}s  {what}"
