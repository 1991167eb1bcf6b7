"""Whom the frequency cap lets have no more is counted once, among those who would be sent to otherwise."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from execution_service.application.count_capped import CountCapped
from execution_service.domain.audience import read_rule
from execution_service.domain.audience_columns import CHUNK_SIZE
from execution_service.domain.contact import Contact
from execution_service.domain.org_settings import FrequencyCap

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
CAP = FrequencyCap(2, 24)
Audience = Any


class Sends:
    """The port `RecentSends`: the contacts with these ordinals got so many messages."""

    def __init__(self, got: Mapping[int, int]) -> None:
        self._got = got

    async def recent(
        self, org: str, cap: FrequencyCap, ordinals: range, *, now: datetime
    ) -> Mapping[int, int]:
        return {ordinal: count for ordinal, count in self._got.items() if ordinal in ordinals}


async def counted(audience: Audience, *segments: str, org: str = "acme") -> int:
    far = CHUNK_SIZE * 40
    got = {**dict.fromkeys((1, 2, 3, 4, 5, far + 1, far + 2, CHUNK_SIZE * 90), 2), 6: 1, far + 3: 3}
    count = CountCapped(chunks=audience.chunks, sends=Sends(got))  # type: ignore[arg-type]
    return await count(org, read_rule(list(segments), None, ["x"]), CAP, now=NOW)


async def test_it_counts_whom_the_rule_admits_and_nothing_else_holds_back(audience: Audience) -> None:
    people: list[dict[str, Any]] = [
        {"segments": ("a",)}, {"segments": ("a", "b")}, {"segments": ("a",), "opted_out": True},
        {"segments": ("b",), "unreachable": "NO_CHAT"}, {"segments": ("a", "x")}, {"segments": ("a",)},
    ]  # fmt: skip
    for begin in (0, CHUNK_SIZE * 40):
        audience.contacts.given = begin
        some = [Contact("acme", f"c{begin + n}", 1, NOW, NOW, **one) for n, one in enumerate(people)]
        await audience.transactions.run(lambda tx, some=some: audience.contacts.insert(tx, some))
    while await audience.fold.oldest():
        pass
    assert await counted(audience, "a") == 4
    assert await counted(audience, "b") == 2
    assert await counted(audience, "a", "b") == 4
    assert await counted(audience, "none") == 0
    assert await counted(audience, "a", org="other") == 0
