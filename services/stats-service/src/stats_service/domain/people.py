"""Contacts by reference: eight bytes that tell one contact of a campaign from another, and lead to nobody.

Whom a message reached is kept as references one after the other. Nothing is indexed by contact: who wants to
know of some contacts passes over all references of a campaign, which is some milliseconds for each hundred
thousand, for any number of wanted ones at once.
"""

import struct
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

REFERENCE_BYTES: Final = 8


def reference(name: str) -> bytes:
    """Of a contact, or of anything else that has a name: two names of a campaign never meet in practice."""
    return blake2b(name.encode(), digest_size=REFERENCE_BYTES).digest()


def references(names: Iterable[str]) -> bytes:
    """The references of `names`, one after the other."""
    return b"".join([blake2b(name.encode(), digest_size=REFERENCE_BYTES).digest() for name in names])


class Wanted:
    """Some references, to be looked for among many."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self._by_number = {int.from_bytes(item, "little"): item for item in wanted}
        self._numbers = frozenset(self._by_number)

    def among(self, many: bytes | bytearray) -> list[bytes]:
        """Those that are in `many`, references one after the other."""
        found = self._numbers.intersection(struct.unpack(f"<{len(many) // REFERENCE_BYTES}Q", many))
        return [self._by_number[number] for number in found]

    def places(self, many: bytes | bytearray) -> list[tuple[int, bytes]]:
        """Where in `many` they are, in order, each as often as it is there."""
        numbers = struct.unpack(f"<{len(many) // REFERENCE_BYTES}Q", many)
        if self._numbers.isdisjoint(numbers):
            return []
        wanted = self._by_number
        return [(place, wanted[number]) for place, number in enumerate(numbers) if number in wanted]
