"""What a campaign's budget pays for: each message that Telegram answered definitely, or may have taken.

That is what statistics call `messagesSent`, and those whose outcome is unknown. A message counts once,
however often it is tried; that of a retry takes the place of the one before it. Every shard keeps an
account of its messages, in the writes that open and close its windows anyway, so the sum over a
campaign's shards is right at any time; only campaigns with a budget pay for having it in one place, which
is told what the accounts say.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from execution_service.domain.outcomes import Back, Candidate, Final
from execution_service.domain.retrying import Former

LOCAL_FAILURES = frozenset({"MESSAGE_TOO_LONG", "MESSAGE_EMPTY"})
"""Failures that statistics count as ours: nothing was sent to Telegram."""


@dataclass(frozen=True, slots=True)
class Account:
    """A shard's messages: `spent` in windows that are closed, `reserved` in the one that is open.

    `told`: how many of them the campaign's count has been told of; None: it was never told of any. `spent`
    may be negative in a retry, whose outcomes take the place of what another run spent.
    """

    spent: int = 0
    reserved: int = 0
    told: int | None = None

    @property
    def total(self) -> int:
        """What may have been sent."""
        return self.spent + self.reserved

    @property
    def untold(self) -> int:
        """What the campaign's count has yet to be told."""
        return self.total - (self.told or 0)

    def tell(self) -> "Account":
        """When it has been told."""
        return replace(self, told=self.total)

    def open(self, messages: int) -> "Account":
        """A window with so many messages is open."""
        return replace(self, reserved=messages)

    def close(self, spent: int) -> "Account":
        """The window is closed, and this is what came of it."""
        return replace(self, spent=self.spent + spent, reserved=0)


def counts(former: Former | Final) -> bool:
    """Whether a message with this outcome was paid for."""
    if former.status == "failed":
        return former.code not in LOCAL_FAILURES
    return former.status != "skipped"


def is_paid(candidate: Candidate, former: Former | None) -> bool:
    """Whether a message to the candidate has been counted already: in another try, or in the run before."""
    return candidate.unanswered or (former is not None and counts(former))


def spent_by(
    candidates: Iterable[Candidate], results: Iterable[Final | Back], former: Callable[[int], Former | None]
) -> int:
    """How many messages a window adds to what was spent before it; `former`: a position's, in a retry.

    `candidates`: those whom the window sent to, as they were then. Results of others were decided without.
    """
    before = {candidate.position: candidate for candidate in candidates}
    return sum(_added(result, before, former) for result in results)


def _added(
    result: Final | Back, before: Mapping[int, Candidate], former: Callable[[int], Former | None]
) -> int:
    position = result.candidate.position if isinstance(result, Back) else result.position
    taken_back = former(position)
    if position in before:
        was_paid = is_paid(before[position], taken_back)
    else:  # nobody is decided as unknown but those who may have got it earlier
        was_paid = (isinstance(result, Final) and result.status == "unknown") or is_paid(
            Candidate(position), taken_back
        )
    now_paid = is_paid(result.candidate, taken_back) if isinstance(result, Back) else counts(result)
    return now_paid - was_paid
