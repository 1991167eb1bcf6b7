"""Chance without dice: who is in a sample and who gets which variation follow from hashes alone.

The same seed and contact always answer the same, on every machine, so a repeated or resumed
execution addresses the same people, and a sample of 10 % is part of the sample of 20 %.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TypeVar

_SCALE = 2**64
T = TypeVar("T")


def fraction(*parts: str) -> float:
    """A number in [0, 1), evenly spread over all `parts`; ("a", "bc") and ("ab", "c") differ."""
    digest = blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    # The top 53 bits: a float holds them exactly, so the result never rounds up to 1.
    return (int.from_bytes(digest, "big") >> 11) / (_SCALE >> 11)


def in_sample(seed: str, contact_id: str, percentage: float) -> bool:
    """Whether the contact belongs to the sample of `percentage` (0-100] percent."""
    return percentage >= 100 or fraction(seed, contact_id) * 100 < percentage


def share_out(contacts: Sequence[T], parts: int, *, by: Callable[[T], str]) -> dict[int, list[T]]:
    """Each contact in one of `parts` parts (0, 1, …), the same one every time; empty parts are left out.

    `by` tells a contact's id. The order stays.
    """
    if parts == 1:
        return {0: list(contacts)}
    shared: dict[int, list[T]] = {}
    for contact in contacts:
        shared.setdefault(int(fraction("part", by(contact)) * parts), []).append(contact)
    return shared


def choose_variation(seed: str, message_id: str, contact_id: str, weights: Sequence[float]) -> int | None:
    """The index of the variation for this contact; None for the message's own content.

    `weights` are percent, at most 100 together; what they leave belongs to the own content.
    """
    if not weights:
        return None
    point = fraction(seed, message_id, contact_id) * 100
    upper = 0.0
    for index, weight in enumerate(weights):
        upper += weight
        # Weights such as 33.3, 33.3, 33.4 may sum to a hair under 100: then nobody is left over.
        if point < upper or upper > 100 - 1e-9:
            return index
    return None
