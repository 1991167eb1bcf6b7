"""Who got how many messages of late, for the frequency cap.

Contacts lie in blocks by their ordinals, as in the audience index. Those of a window are neighbours
mostly, so a window reads and writes a block or a few, whatever its size. A block holds no ids of people:
whoever is erased takes the ordinal along. A message is counted when its window is formed, as if it were
sent at the latest moment that the window allows, so no two are ever nearer to each other than the cap
says.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from execution_service.domain.org_settings import FrequencyCap

BLOCK_SIZE = 256


class Send(NamedTuple):
    """`message` to the contact at `place` of the block, `at` the latest in this second (of the epoch)."""

    place: int
    at: int
    message: str


@dataclass(frozen=True, slots=True)
class Block:
    """The sends to the contacts with ordinals from `number` x BLOCK_SIZE on. `revision` 0: none stored."""

    number: int
    revision: int = 0
    sends: tuple[Send, ...] = ()

    def recent(self, cap: FrequencyCap, *, now: datetime, message: str | None = None) -> Mapping[int, int]:
        """How many messages count now, by ordinal; `message` itself is another try, and counts not."""
        since, first = _since(cap, now), self.number * BLOCK_SIZE
        return Counter(
            first + send.place for send in self.sends if send.at > since and send.message != message
        )

    def over(self, cap: FrequencyCap, *, now: datetime, message: str | None = None) -> frozenset[int]:
        """The ordinals that `cap` lets have no more now."""
        recent = self.recent(cap, now=now, message=message)
        return frozenset(ordinal for ordinal, count in recent.items() if count >= cap.messages)

    def take(
        self, ordinals: Collection[int], message: str, *, until: datetime, cap: FrequencyCap, now: datetime
    ) -> "Block":
        """With `message` to `ordinals`, all of them here, sent by `until`; without what is too old."""
        since, at = _since(cap, now), _seconds(until)
        kept = self.drop(ordinals, message)
        new = [Send(ordinal % BLOCK_SIZE, at, message) for ordinal in ordinals]
        return replace(kept, sends=(*(send for send in kept.sends if send.at > since), *new))

    def drop(self, ordinals: Collection[int], message: str) -> "Block":
        """Without `message` to `ordinals`, all of them here."""
        places = {ordinal % BLOCK_SIZE for ordinal in ordinals}
        kept = (send for send in self.sends if send.message != message or send.place not in places)
        return replace(self, sends=tuple(kept))


def block_of(ordinal: int) -> int:
    """The number of the block that a contact is in."""
    return ordinal // BLOCK_SIZE


def by_block(ordinals: Iterable[int]) -> Mapping[int, list[int]]:
    """The ordinals by the number of their block."""
    found: dict[int, list[int]] = {}
    for ordinal in ordinals:
        found.setdefault(block_of(ordinal), []).append(ordinal)
    return found


def _since(cap: FrequencyCap, now: datetime) -> int:
    """Messages of this second and earlier count no more."""
    return int((now - timedelta(hours=cap.hours)).timestamp())


def _seconds(until: datetime) -> int:
    return -int(-until.timestamp() // 1)
