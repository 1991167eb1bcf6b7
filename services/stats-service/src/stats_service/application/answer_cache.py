"""Answers that were made, by question; the least used go when there are too many."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

from stats_service.application.ports_reading import Stamp


@dataclass(frozen=True, slots=True)
class Made:
    """An answer's bytes, and what they hold for: while these are the same, so are they."""

    body: bytes
    stamp: Stamp
    present: int
    segments: tuple[str, ...]
    """Those that it shows."""
    names: Mapping[str, str]
    """What those are called that are known."""


OWN_BYTES: Final = 2_048
"""What an answer needs beside its body: the question, the stamp, its place."""


class AnswerCache:
    """Keeps answers of at most `most_bytes` in all."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._made: OrderedDict[Hashable, Made] = OrderedDict()

    def get(self, key: Hashable) -> Made | None:
        """The last answer to the question, whether or not it still holds."""
        made = self._made.get(key)
        if made is not None:
            self._made.move_to_end(key)
        return made

    def put(self, key: Hashable, made: Made) -> None:
        """Keep `made` in the place of the one before; not one that is larger than all may be."""
        self._drop(self._made.pop(key, None))
        if _size(made) > self._most:
            return
        self._made[key] = made
        self._size += _size(made)
        while self._size > self._most:
            self._drop(self._made.popitem(last=False)[1])

    def _drop(self, made: Made | None) -> None:
        self._size -= _size(made) if made else 0


def _size(made: Made) -> int:
    return len(made.body) + OWN_BYTES
