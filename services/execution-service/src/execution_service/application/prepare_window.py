"""Before a window is opened: who of the candidates gets what text, and who is decided without sending."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from execution_service.application.ports_engine import ShardLease
from execution_service.application.ports_sending import Audience, Deferred, Rendered, Slot
from execution_service.application.recent_segments import RecentSegments
from execution_service.application.tracking_links import TrackingLinks
from execution_service.domain.contact import Addressee, Unreachable
from execution_service.domain.decisions import decide
from execution_service.domain.execution import Execution
from execution_service.domain.membership import Membership
from execution_service.domain.outcomes import Back, Candidate, Final, passed_over
from execution_service.domain.quiet_hours import Hours, Outlooks
from execution_service.domain.rendering import CompiledMessage, compile_message

_KEPT = 256


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, ready to be sent."""

    candidate: Candidate
    contact_id: str
    chat_id: int
    variation_id: str | None
    rendered: Rendered
    unreachable: Unreachable | None = None
    """What is noted of the contact; it is written to all the same."""
    until: datetime | None = None
    """Its contact's quiet hours do not begin before this."""
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Candidates in their order, each one a letter, or decided, or deferred."""

    items: Sequence[Letter | Final | Back]
    candidates: Sequence[Candidate]

    @property
    def letters(self) -> list[Letter]:
        """Those to be sent."""
        return [item for item in self.items if isinstance(item, Letter)]

    @property
    def decided(self) -> list[Final]:
        """Those that need no sending."""
        return [item for item in self.items if isinstance(item, Final)]

    @property
    def deferred(self) -> list[Back]:
        """Those whose turn has not come."""
        return [item for item in self.items if isinstance(item, Back)]

    @property
    def waits(self) -> bool:
        """Whether nothing is to be done for any of them now."""
        return all(isinstance(item, Back) for item in self.items)

    @property
    def until(self) -> datetime | None:
        """When the first of the letters may not be dispatched any more; None: there is no such time."""
        return min((letter.until for letter in self.letters if letter.until is not None), default=None)

    def before(self, candidate: Candidate) -> "Prepared":
        """The beginning up to `candidate`, without it."""
        place = [item.position for item in self.candidates].index(candidate.position)
        return Prepared(self.items[:place], self.candidates[:place])

    def granted(self, turns: Sequence[Slot | Deferred], due: Callable[[float], datetime]) -> "Prepared":
        """The beginning that holds one letter per turn; `due` tells the date of a time of the event loop."""
        items: list[Letter | Final | Back] = []
        left = iter(turns)
        for item in self.items:
            if isinstance(item, Letter):
                turn = next(left, None)
                if turn is None:
                    break
                items.append(item if isinstance(turn, Slot) else Back(item.candidate, due(turn.at)))
            else:
                items.append(item)
        return Prepared(items, self.candidates[: len(items)])


class PrepareWindow:
    """Loads contacts and renders; keeps the compiled messages of recent executions."""

    def __init__(self, audience: Audience, segments: RecentSegments, links: TrackingLinks) -> None:
        self._audience = audience
        self._segments = segments
        self._links = links
        self._compiled: OrderedDict[tuple[str, int], list[CompiledMessage]] = OrderedDict()

    async def __call__(
        self,
        execution: Execution,
        lease: ShardLease,
        turn: Sequence[Candidate],
        *,
        hours: Hours,
        now: datetime,
    ) -> Prepared:
        """Decide or render each of `turn`; who would be sent to in its quiet hours waits."""
        outlooks = Outlooks(hours, now)
        ids = [lease.contacts[candidate.position] for candidate in turn]
        message, membership = self.messages(execution)[lease.state.step], await self._segments.of(execution)
        fields = message.fields if membership is None else message.fields | membership.fields
        contacts = await self._audience.addressees(lease.org, ids, fields)
        placed = _placed(turn, ids, contacts, membership)
        items = [
            self._prepare(execution, message, candidate, contact_id, contacts.get(contact_id), outlooks, now)
            for candidate, contact_id in zip(placed, ids, strict=True)
        ]
        return Prepared(items, placed)

    async def passed_over(
        self, execution: Execution, lease: ShardLease, turn: Sequence[Candidate], code: str, *, now: datetime
    ) -> Prepared:
        """All of `turn` decided for the reason `code`, whoever they are."""
        membership = await self._segments.of(execution)
        if membership is not None:
            ids = [lease.contacts[candidate.position] for candidate in turn]
            contacts = await self._audience.addressees(lease.org, ids, membership.fields)
            turn = _placed(turn, ids, contacts, membership)
        return Prepared([passed_over(candidate, code, at=now) for candidate in turn], turn)

    def messages(self, execution: Execution) -> list[CompiledMessage]:
        """The messages of this life of the execution, compiled once."""
        key = (execution.execution_id, execution.life)
        known = self._compiled.get(key)
        if known is None:
            known = [compile_message(message) for message in execution.snapshot.messages]
            self._compiled[key] = known
            if len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return known

    def _prepare(
        self,
        execution: Execution,
        message: CompiledMessage,
        candidate: Candidate,
        contact_id: str,
        contact: Addressee | None,
        outlooks: Outlooks,
        now: datetime,
    ) -> Letter | Final | Back:
        named, seed = execution.retry is not None, execution.snapshot.sampling_seed
        decision = decide(message, contact_id, contact, seed=seed, named=named)
        if isinstance(decision, str):
            return passed_over(candidate, decision, at=now)
        outlook = outlooks.of(decision.contact.timezone)
        if not outlook.open:
            return Back(candidate, outlook.until, for_hours=True)
        keyboard = self._links.keyboard(execution.execution_id, contact_id, message, decision.labels)
        reader = decision.contact
        return Letter(
            candidate,
            contact_id,
            reader.telegram_chat_id,
            decision.variation_id,
            Rendered(decision.text, decision.template.parse_mode, message.media, keyboard),
            reader.unreachable,
            outlook.until,
            reader.ordinal,
        )


def _placed(
    turn: Sequence[Candidate],
    ids: Sequence[str],
    contacts: Mapping[str, Addressee],
    membership: Membership | None,
) -> Sequence[Candidate]:
    """The candidates, each with the segments that its contact is in now; who was erased is in none."""
    if membership is None:
        return turn
    return [
        candidate.within(membership.of(contacts[contact_id].fields) if contact_id in contacts else ())
        for candidate, contact_id in zip(turn, ids, strict=True)
    ]
