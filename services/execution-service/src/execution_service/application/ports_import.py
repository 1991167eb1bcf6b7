"""Imports that are remembered: how far each has come, and who is at it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from service_kit.ports import Tx

ImportStatus = Literal["running", "completed", "interrupted"]
MAX_ERRORS = 100


@dataclass(slots=True)
class ImportResult:
    """Lines that made a contact, changed or confirmed one, and were refused; `errors` are the first 100."""

    imported: int = 0
    updated: int = 0
    rejected: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "ImportResult") -> "ImportResult":
        """The sum with a later batch."""
        return ImportResult(
            self.imported + other.imported,
            self.updated + other.updated,
            self.rejected + other.rejected,
            (self.errors + other.errors)[:MAX_ERRORS],
        )

    def reject(self, line: int, problem: str) -> None:
        """Count a refused line."""
        self.rejected += 1
        self.tell(line, problem)

    def tell(self, line: int, problem: str) -> None:
        """Tell of a line without counting it."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append((line, problem))


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An import as it is stored: everything up to `line` is in, the first `size` bytes of the file were read.

    `owner` is whose request is at it, until `expires_at`; both stay when it has ended.
    """

    org: str
    import_id: str
    status: ImportStatus
    owner: str
    expires_at: datetime
    started_at: datetime
    updated_at: datetime
    line: int = 0
    size: int = 0
    result: ImportResult = field(default_factory=ImportResult)


class Imports(Protocol):
    """The imports of all organisations, each kept for some days after its last change.

    Writes name the owner: one whose import was taken over changes nothing and raises ImportRunning.
    """

    async def begin(
        self, org: str, import_id: str, *, fingerprint: str, owner: str, now: datetime, until: datetime
    ) -> ImportRecord:
        """A new import, or one that was interrupted (its owner said so or its time ran out), now `owner`'s.

        A completed one is answered as it is. `fingerprint` tells files apart, once something is stored.
        Raises ImportRunning, ImportIdReused.
        """
        ...

    async def advance(self, tx: Tx, record: ImportRecord) -> None:
        """Store how far it is, together with what has come in. Raises ImportRunning."""
        ...

    async def renew(self, record: ImportRecord, *, until: datetime) -> None:
        """Hold on. Raises ImportRunning."""
        ...

    async def close(self, record: ImportRecord) -> None:
        """Store the status that it ends with, for now or for good. Raises ImportRunning."""
        ...

    async def get(self, org: str, import_id: str) -> ImportRecord | None:
        """One import."""
        ...
