"""What an execution would come to, decided for each contact as sending decides it.

A course is how it goes for one contact if nobody counts what others cost; a budget then pays for courses
message by message, all of one step before those of the next, as windows of neighbours do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from execution_service.domain.contact import Addressee
from execution_service.domain.decisions import decide
from execution_service.domain.rendering import CompiledMessage


@dataclass(frozen=True, slots=True)
class Course:
    """So many `messages` are sent, then `code` says why no more (None: these are all).

    `timezone` is the contact's own.
    """

    messages: int
    code: str | None
    timezone: str | None


@dataclass(frozen=True, slots=True)
class Foretold:
    """Contacts by the code that ends their course (none: they get all), and messages sent by time zone.

    Numbers need not be whole where contacts stand for others.
    """

    codes: Mapping[str, float]
    messages: Mapping[str | None, float]

    @property
    def sent(self) -> float:
        """Messages in all."""
        return sum(self.messages.values())

    def times(self, factor: float) -> Self:
        """When each contact stands for `factor` contacts."""
        return type(self)(
            {code: count * factor for code, count in self.codes.items()},
            {zone: count * factor for zone, count in self.messages.items()},
        )


def course(
    steps: Sequence[CompiledMessage],
    contact_id: str,
    contact: Addressee | None,
    *,
    seed: str,
    allowance: int | None,
) -> Course:
    """How it goes for a contact whom the frequency cap lets have `allowance` messages (None: any number)."""
    zone = contact.timezone if contact else None
    for sent, message in enumerate(steps):
        decision = decide(message, contact_id, contact, seed=seed, named=False)
        if isinstance(decision, str):
            return Course(sent, decision, zone)
        if allowance is not None and sent >= allowance:
            return Course(sent, "FREQUENCY_CAP", zone)
    return Course(len(steps), None, zone)


def foretell(courses: Sequence[Course], *, affordable: int | None) -> Foretold:
    """What becomes of `courses` when so many messages can be paid for (None: any number)."""
    codes, messages = Counter[str](), Counter[str | None]()
    left = sum(one.messages for one in courses) if affordable is None else affordable
    step, going = 0, courses
    while going:
        codes.update(one.code for one in going if one.messages == step and one.code is not None)
        wanting = [one for one in going if one.messages > step]
        going, unpaid = wanting[:left], wanting[left:]
        messages.update(one.timezone for one in going)
        codes.update("BUDGET_EXHAUSTED" for _ in unpaid)
        left, step = left - len(going), step + 1
    return Foretold(codes, messages)
