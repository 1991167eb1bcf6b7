"""What the audience index needs of the world: see `domain/audience_columns` for what it is."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.events.campaign import AudienceDefinition
from service_kit.ports import Tx

from execution_service.application.ports import Member
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import Chunk


@dataclass(frozen=True, slots=True)
class ContactChange:
    """A transaction that changed these contacts (ordinal, id) of `org`: their columns may be out of date."""

    change_id: str
    org: str
    contacts: Sequence[tuple[int, str]]


class ContactChanges(Protocol):
    """Changes that are not folded yet. Who stores contacts writes one in the same transaction."""

    async def oldest(self, contacts: int) -> list[ContactChange]:
        """The oldest, up to about so many `contacts` in all."""
        ...

    async def waiting(self, org: str) -> list[str]:
        """The ids of all that there are of `org` now."""
        ...

    async def read(self, change_ids: Sequence[str]) -> list[ContactChange]:
        """Those of them that still wait."""
        ...

    async def remove(self, changes: Sequence[ContactChange]) -> None:
        """Forget what has been folded."""
        ...


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk of an organisation. `version` grows with every fold; 0: it is not stored yet.

    `rows`: what it is stored in, for who stores it.
    """

    number: int
    version: int
    chunk: Chunk
    rows: tuple[str, ...] = ()


class AudienceChunks(Protocol):
    """The chunks of all organisations."""

    async def versions(self, org: str) -> dict[int, int]:
        """Every chunk of `org` by number, ascending, with its version."""
        ...

    async def read(
        self, org: str, numbers: Sequence[int], fields: Iterable[str], *, ids: bool = False
    ) -> list[StoredChunk]:
        """Those of the chunks that exist, ascending, with these columns and maybe the ids, as of one moment.

        Ask for few at a time: they are all in memory.
        """
        ...

    async def load(self, tx: Tx, org: str, number: int) -> StoredChunk:
        """All of one chunk."""
        ...

    async def save(self, tx: Tx, org: str, before: StoredChunk, after: Chunk) -> None:
        """Store what differs and the next version. Two transactions that save the same chunk collide."""
        ...

    async def last_ordinal(self, org: str) -> int:
        """The greatest ordinal that any contact has been given; 0: none."""
        ...


class SegmentFilters(Protocol):
    """What is known of segments that are filters."""

    async def filters_of(self, org: str, segment_ids: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        """The filters of those of the segments that have some."""
        ...


class Audience(Protocol):
    """Whom a campaign means."""

    async def rule(self, org: str, audience: AudienceDefinition) -> AudienceRule:
        """What `audience` means now. Raises FieldErrors."""
        ...

    def members(
        self, org: str, rule: AudienceRule, *, testers_only: bool, after: str
    ) -> AsyncIterator[Member]:
        """Whom `rule` admits behind the key `after` ("" to start), by key, each contact once.

        Everybody who was stored before it begins is met. Members without a contact: the walk goes on.
        """
        ...
