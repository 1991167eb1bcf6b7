"""Retries: whom a run goes to that has no audience of its own, and what it takes back.

A campaign's runs are a chain: one that walked an audience, and retries of some of those contacts. What holds
of a contact is its outcome in the latest run that has it. A retry's outcome takes the former one's place, in
the statistics too, so the former one goes with the contact into the retry's shard.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from contracts.events.campaign import Retry

from execution_service.domain.execution import ShardSums
from execution_service.domain.outcomes import Final, Status, status_of


@dataclass(frozen=True, slots=True)
class Former:
    """An outcome as it was told: the row of a tally."""

    minute: int
    message_id: str
    variation_id: str | None
    status: Status
    code: str | None
    segments: tuple[str, ...] = ()

    @classmethod
    def of(cls, final: Final, message_id: str) -> "Former":
        """The row in which `final` was counted."""
        minute = minute_of(final)
        return cls(minute, message_id, final.variation_id, final.status, final.code, final.segments)


def minute_of(final: Final) -> int:
    """The minute of the outcome, counted from the epoch."""
    return int(final.at.timestamp() // 60)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a contact stands in the run that walked the audience: shard and position. It is its name in the
    chain: places are in the order in which every run has them."""

    shard: int
    position: int


@dataclass(frozen=True, slots=True)
class Retried:
    """A contact to be tried again at `step`, and the outcome that it has now."""

    contact_id: str
    step: int
    place: Place
    former: Former

    @property
    def key(self) -> str:
        """The plan's cursor behind it."""
        return f"{self.step}.{self.place.shard}.{self.place.position}"


def read_key(key: str) -> tuple[int, Place]:
    """Step and place behind which a plan goes on; "" is the beginning."""
    if not key:
        return 0, Place(0, -1)
    step, shard, position = (int(part) for part in key.split("."))
    return step, Place(shard, position)


def chosen(retry: Retry, status: Status, code: str | None) -> bool:
    """Whether the retry is meant for contacts with this outcome. Nobody gets twice what has arrived."""
    if status == "successful" or status not in retry.statuses:
        return False
    return retry.error_codes is None or code in retry.error_codes


def count_chosen(retry: Retry, sums: Iterable[ShardSums]) -> int:
    """How many contacts of a chain with these `sums` the retry is meant for: what the runs told, less what
    later ones took back."""
    total = 0
    for run in sums:
        for errors, sign in ((run.errors, 1), (run.withdrawn, -1)):
            total += sign * sum(
                count for code, count in errors.items() if chosen(retry, status_of(code), code)
            )
    return total


def withdrawn(former: Collection[Former]) -> Mapping[str, int]:
    """The former outcomes by code; each that may be retried has one."""
    counts: dict[str, int] = {}
    for item in former:
        if item.code is not None:
            counts[item.code] = counts.get(item.code, 0) + 1
    return counts
