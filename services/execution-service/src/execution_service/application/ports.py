"""What the audience's use cases need of the world. Keys are `<org>/<id>`: unique and sorted within an org."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.events.campaign import AudienceDefinition
from service_kit.ports import Tx

from execution_service.domain.bot import Bot, BotIdentity
from execution_service.domain.contact import Contact
from execution_service.domain.segment import Segment


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody met when an audience is walked. `key` is where the walk goes on.

    `contact_id` None: nobody, but the walk has come so far.
    """

    key: str
    contact_id: str | None


class Collision(Exception):
    """Somebody else stored the same key at the same moment: the whole transaction has to run again."""


class Contacts(Protocol):
    """The contacts of all organisations.

    Who stores or erases one has it folded into the audience index: the note of that is written with it.
    """

    async def get(self, org: str, contact_id: str, *, tx: Tx | None = None) -> Contact | None:
        """One contact."""
        ...

    async def by_ids(self, org: str, ids: Sequence[str], *, tx: Tx | None = None) -> dict[str, Contact]:
        """Those of `ids` that exist, by id."""
        ...

    async def insert(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Store new contacts of one organisation, each with an ordinal of its own.

        Raises Collision when one of them has just been stored by somebody else.
        """
        ...

    async def replace(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Store changed contacts of one organisation over what is there; they keep their ordinals.

        Raises Collision when one of them is not there any more.
        """
        ...

    async def erase(self, tx: Tx, contact: Contact) -> None:
        """Remove a contact. Raises Collision when it is not there as it was read."""
        ...


class Segments(Protocol):
    """The segments of all organisations."""

    async def insert(self, tx: Tx, segment: Segment) -> None:
        """Store a new one. Raises SegmentExists."""
        ...

    async def get(self, org: str, segment_id: str, *, tx: Tx | None = None) -> Segment | None:
        """One segment."""
        ...

    async def replace(self, tx: Tx, segment: Segment) -> None:
        """Store a changed segment over what is there."""
        ...

    async def remove(self, tx: Tx, segment: Segment) -> None:
        """Forget the segment."""
        ...

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Segment], int]:
        """A page, newest first, and how many there are."""
        ...

    async def filters_of(self, org: str, segment_ids: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        """The filters of those of the segments that are filters; the others are left out."""
        ...


class Bots(Protocol):
    """The bots of all organisations."""

    async def insert(self, tx: Tx, bot: Bot) -> Bot:
        """Store a new one; it becomes the default when `bot.default`, or when it is the org's first.

        The bot as it is then. Raises BotExists when the org has this Telegram bot already.
        """
        ...

    async def get(self, org: str, bot_id: str, *, tx: Tx | None = None) -> Bot | None:
        """One bot."""
        ...

    async def replace(self, tx: Tx, bot: Bot) -> None:
        """Store a changed bot over what is there, and make it the default when it says so."""
        ...

    async def remove(self, tx: Tx, bot: Bot) -> None:
        """Forget it; when it was the default, the oldest of the others is from now on."""
        ...

    async def default(self, org: str) -> Bot | None:
        """The bot that campaigns use which name none."""
        ...

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Bot], int]:
        """A page, oldest first, and how many there are."""
        ...

    def seal(self, token: str, *, org: str, bot_id: str) -> str:
        """`token` as it may be stored, for this bot alone."""
        ...

    def token(self, bot: Bot) -> str:
        """The bot's token in the clear: only for calling Telegram. Raises SecretUnreadable."""
        ...


class BotUse(Protocol):
    """What is sent with which bot."""

    async def using(self, tx: Tx, org: str, bot_id: str) -> str | None:
        """A campaign with an execution that has not ended and sends, or may yet send, with this bot."""
        ...


class SegmentUse(Protocol):
    """What names which segment."""

    async def naming(self, tx: Tx, org: str, segment_id: str) -> str | None:
        """A campaign that has not ended and names the segment."""
        ...


class TelegramIdentity(Protocol):
    """Asks Telegram who a token is."""

    async def get_me(self, token: str) -> BotIdentity | None:
        """The bot behind `token`; None when Telegram refuses it. Raises DependencyDown."""
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """A note that audiences of `org` may have changed."""

    mark_id: str
    org: str


@dataclass(frozen=True, slots=True)
class CampaignAudience:
    """A campaign whose audience is kept counted. `total_count` is None until it was counted once.

    `revision` grows with every stored count.
    """

    campaign_id: str
    org: str
    audience: AudienceDefinition
    total_count: int | None
    revision: int


class AudienceMarks(Protocol):
    """Which organisations' audiences must be counted again; one row per change, so writers never collide."""

    async def add(self, tx: Tx, org: str) -> None:
        """Note a change, in the transaction that makes it."""
        ...

    async def read(self, limit: int) -> list[Mark]:
        """The oldest marks."""
        ...

    async def remove(self, marks: Sequence[Mark]) -> None:
        """Forget marks that have been counted."""
        ...


class CampaignAudiences(Protocol):
    """What this service knows of campaigns: name, status, audience, the last count."""

    async def note(self, tx: Tx, campaign: "KnownCampaign") -> bool:
        """Take over what an event told, unless something newer is known; whether it was taken."""
        ...

    async def status(self, tx: Tx, campaign_id: str) -> str | None:
        """The campaign's status by the newest event; a deleted one is cancelled."""
        ...

    async def counted(self, org: str, *, after_id: str, limit: int) -> list[CampaignAudience]:
        """The org's campaigns that are not final, by id, after `after_id`."""
        ...

    async def audience_of(self, org: str, campaign_id: str) -> AudienceDefinition | None:
        """The campaign's audience; None when the organisation has no such campaign, or deleted it."""
        ...

    async def set_counts(self, tx: Tx, counts: Mapping[str, tuple[int, int]]) -> list[str]:
        """`counts`: campaign id → (revision seen, new count). Answers the ids whose revision was that still.

        The others have been counted by somebody else since, and are left.
        """
        ...


@dataclass(frozen=True, slots=True)
class KnownCampaign:
    """What a campaign event tells. `audience` is None when the event does not say."""

    campaign_id: str
    org: str
    name: str
    status: str
    sequence: int
    audience: AudienceDefinition | None
    deleted: bool = False
