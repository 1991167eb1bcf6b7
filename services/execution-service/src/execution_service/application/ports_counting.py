"""What counting needs of the world: what a campaign has spent, and who got how many messages of late."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service_kit.ports import Tx

from execution_service.domain.org_settings import FrequencyCap
from execution_service.domain.recent_sends import Block
from execution_service.domain.spending import Account


class CountMoved(Exception):
    """What a window was counted on has changed since it was looked at: look again."""


@dataclass(frozen=True, slots=True)
class ShardAccount:
    """A shard's account. `leased`: a worker has it in hand. `sent`: somebody of it was sent a message."""

    shard_id: str
    account: Account
    leased: bool
    sent: bool


class Spending(Protocol):
    """The messages of campaigns with a budget, each in one place, and the accounts of shards."""

    async def begin(self, org: str, campaign_id: str) -> None:
        """Have a count for the campaign."""
        ...

    async def messages(self, campaign_id: str, *, tx: Tx | None = None) -> int:
        """The campaign's count."""
        ...

    async def add(self, tx: Tx, campaign_id: str, messages: int, *, most: int | None = None) -> bool:
        """Count so many (more, or fewer); False, and nothing changed, when they would be more than `most`."""
        ...

    async def accounts(self, execution_id: str, *, tx: Tx | None = None) -> Sequence[ShardAccount]:
        """The accounts of the execution's shards."""
        ...

    async def tell(self, tx: Tx, shard: ShardAccount) -> bool:
        """Note that the count was told of all in the account; False when it has changed, or is in hand."""
        ...


class RecentSends(Protocol):
    """Who got messages of late, block by block."""

    async def read(self, org: str, numbers: Iterable[int], *, tx: Tx | None = None) -> Mapping[int, Block]:
        """The blocks with these numbers, by number."""
        ...

    async def write(self, tx: Tx, org: str, blocks: Collection[Block], *, until: datetime) -> None:
        """Store each in the place of its revision, to be forgotten after `until`. Raises CountMoved."""
        ...

    async def recent(
        self, org: str, cap: FrequencyCap, ordinals: range, *, now: datetime
    ) -> Mapping[int, int]:
        """How many messages count for `cap` now, for those of `ordinals` (of the org's contacts) with any."""
        ...
