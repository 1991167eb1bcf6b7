"""What the use cases need of the world."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from contracts.events.campaign import CampaignStatus, CampaignType, ExecutionSnapshot
from service_kit.ports import Tx

from campaign_service.domain.campaign import Campaign, Statistics
from campaign_service.domain.execution import Retry
from campaign_service.domain.template import Template

SortField = Literal["name", "status", "type", "budget", "startDate", "endDate", "createdAt", "updatedAt"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CampaignQuery:
    """Which campaigns, in which order. `words` must all match as word prefixes; None: no search."""

    org: str
    page: int = 1
    limit: int = 20
    status: CampaignStatus | None = None
    type: CampaignType | None = None
    sort: SortField = "createdAt"
    descending: bool = True
    words: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, and how many there are in all."""

    items: list[T]
    total: int


class Campaigns(Protocol):
    """Where campaigns are kept."""

    async def add(self, tx: Tx, campaign: Campaign) -> None:
        """Keep a new campaign."""
        ...

    async def get(self, org: str, campaign_id: str, *, tx: Tx | None = None) -> Campaign | None:
        """The campaign, as `tx` sees it; None when the org has none such."""
        ...

    async def save(self, tx: Tx, campaign: Campaign, *, expected_version: int) -> None:
        """Keep what changed, but never the numbers. Raises VersionConflict when the version is another."""
        ...

    async def remove(self, tx: Tx, org: str, campaign_id: str, *, expected_version: int) -> None:
        """Erase a campaign. Raises VersionConflict when the version is another."""
        ...

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        """Org and id of up to `limit` campaigns whose scheduled time has come, the longest due first."""
        ...

    async def taken_names(self, org: str, names: Collection[str]) -> set[str]:
        """Those of `names` that campaigns of the org have."""
        ...

    async def page(self, query: CampaignQuery) -> Page[Campaign]:
        """A page of campaigns without their messages; ties are broken by id."""
        ...

    async def note_audience(self, org: str, campaign_id: str, *, total_count: int, at: datetime) -> None:
        """Keep the audience's size, unless a younger estimate is there. Unknown campaigns are ignored."""
        ...

    async def note_statistics(
        self, org: str, campaign_id: str, *, statistics: Statistics, revision: int
    ) -> None:
        """Keep the numbers, unless as high a revision is there. Unknown campaigns are ignored."""
        ...


class Templates(Protocol):
    """Where templates are kept."""

    async def add(self, tx: Tx, template: Template) -> None:
        """Keep a new template."""
        ...

    async def save(self, template: Template, *, expected_version: int) -> None:
        """Keep a changed template. Raises VersionConflict when the version is another, or it is gone."""
        ...

    async def remove(self, org: str, template_id: str, *, expected_version: int) -> None:
        """Erase a template. Raises VersionConflict when the version is another, or it is gone."""
        ...

    async def get(self, org: str, template_id: str) -> Template | None:
        """The template; None when the org has none such."""
        ...

    async def get_many(self, org: str, template_ids: Collection[str]) -> Mapping[str, Template]:
        """Those of `template_ids` that exist, by id."""
        ...

    async def page(self, org: str, *, page: int, limit: int) -> Page[Template]:
        """A page of templates, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class PreflightQuery:
    """An execution as it would be. `target_percentage` 1-100."""

    org: str
    segments: tuple[str, ...]
    filters: Mapping[str, Any] | None
    exclude_segments: tuple[str, ...]
    test_mode: bool
    target_percentage: float
    sampling_seed: str
    bot_ids: tuple[str, ...]
    """None means the organisation's default bot."""
    retry: Retry | None = None
    """There when it is not for the audience, but for those of earlier runs."""


@dataclass(frozen=True, slots=True)
class Bot:
    """Who would send, and how many messages a second it may; paid ones too (0: none)."""

    id: str
    name: str
    per_second: float
    paid_per_second: float


@dataclass(frozen=True, slots=True)
class PreflightAnswer:
    """What it would meet: contacts in all, contacts meant, those of the bots that there are, testers.

    `suppressed`: reason → how many of those meant would be skipped.
    """

    total_count: int
    targeted: int
    bots: tuple[Bot, ...]
    testers: int
    suppressed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an execution would come to: `suppressed` tells, by code, how many of those meant would not get all
    of it; `seconds` from its beginning to the last message (None: nobody would send)."""

    total_count: int
    suppressed: Mapping[str, int]
    seconds: float | None
    cost: float


class Preflight(Protocol):
    """Asks the service that owns contacts and bots."""

    async def ask(self, query: PreflightQuery) -> PreflightAnswer:
        """What an execution would meet now. Raises DependencyDown when there is no answer in time."""
        ...

    async def foretell(self, org: str, snapshot: ExecutionSnapshot, *, begin: datetime) -> Forecast:
        """What it would come to, begun at `begin` (UTC). Raises DependencyDown without an answer in time."""
        ...
