"""When an execution is held by itself: too many people have blocked the bot, or its content is refused.

An answer is an outcome that is known: delivered, or failed (a text that could not be made counts as one
that was refused). Skipped contacts and messages without an answer are none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.outcome_codes import MESSAGES

from execution_service.domain.org_settings import GuardRails
from execution_service.domain.outcomes import Back, Final

GUARD_BLOCKED = "GUARD_BLOCKED"
GUARD_CONTENT = "GUARD_CONTENT"
BLOCKED = frozenset({"USER_BLOCKED", "BOT_KICKED", "FORBIDDEN"})
"""Somebody does not want the bot's messages."""
CONTENT = frozenset({"BAD_REQUEST", "MESSAGE_TOO_LONG", "MESSAGE_EMPTY"})
"""The message cannot be sent as it is, likely to nobody."""


@dataclass(frozen=True, slots=True)
class Tripped:
    """Why the execution is held: a code for programs, a message for people."""

    code: str
    message: str


def is_answer(final: Final) -> bool:
    """Whether the outcome is an answer."""
    return final.status in ("successful", "failed")


def looks_bad(results: Iterable[Final | Back]) -> bool:
    """Whether the results of a window may be the ones that trip a guard rail."""
    return any(isinstance(item, Final) and item.code in BLOCKED | CONTENT for item in results)


def needed(rails: GuardRails) -> int:
    """How many answers a decision is made from, at most."""
    return max(rails.blocked_of, rails.equal_errors)


def tripped(answers: Sequence[Final], rails: GuardRails) -> Tripped | None:
    """The guard rail that the latest `answers`, in the order of their times, have tripped, if any."""
    latest = answers[-rails.equal_errors :]
    code = latest[-1].code if latest else None
    if code in CONTENT and len(latest) == rails.equal_errors and all(item.code == code for item in latest):
        return Tripped(
            GUARD_CONTENT, f"The last {rails.equal_errors} answers were all {code}: {MESSAGES[code or '']}"
        )
    latest = answers[-rails.blocked_of :]
    blocked = sum(item.code in BLOCKED for item in latest)
    if len(latest) == rails.blocked_of and blocked * 100 > rails.blocked_percent * len(latest):
        return Tripped(
            GUARD_BLOCKED, f"{blocked} of the last {len(latest)} answers say that the bot is blocked"
        )
    return None
