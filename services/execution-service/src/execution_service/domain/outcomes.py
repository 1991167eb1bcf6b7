"""What an answer of the Bot API means, and what becomes of the contact.

`classify` reads status and description together (some 403s arrive as 400s); `settle` turns the result
of one attempt into a final outcome or a way back to pending. The line that matters runs between "known
not to have been delivered" (may be tried again) and "may have been delivered": that is tried again only when
the campaign asks for it, and its contact never ends as skipped, for it may have got the message.
Sources: https://core.telegram.org/bots/api#making-requests, #responseparameters
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from execution_service.domain.suppression import SUPPRESSIONS

Status = Literal["successful", "failed", "skipped", "unknown"]
STATUSES: tuple[Status, ...] = ("successful", "failed", "skipped", "unknown")

MAX_TRIES = 3
"""How often a message is tried that Telegram answers with a 5xx of its own, or not at all (if it is then)."""
_RETRY_FIRST_SECONDS = 1.0
_RETRY_MOST_SECONDS = 30.0

_SKIPPED = frozenset(
    {"CONTACT_ERASED", "MISSING_FIELD", "CAMPAIGN_ENDED", "FREQUENCY_CAP", "BUDGET_EXHAUSTED", *SUPPRESSIONS}
)


def status_of(code: str) -> Status:
    """The one status that comes with an error code."""
    if code in _SKIPPED:
        return "skipped"
    return "unknown" if code == "DELIVERY_UNKNOWN" else "failed"


@dataclass(frozen=True, slots=True)
class Delivered:
    """Telegram took the message."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Telegram refuses this message to this chat, for good."""

    code: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """429: nothing was sent; the whole bot waits `retry_after` seconds."""

    retry_after: float


@dataclass(frozen=True, slots=True)
class ChatMigrated:
    """The group has a new id: nothing was sent; try again there."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """A 5xx with Telegram's own body: nothing was sent."""


@dataclass(frozen=True, slots=True)
class NotConnected:
    """No connection came about, so nothing was written."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request was (perhaps) written and no proper answer came: nobody knows."""


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """Telegram does not know the token: nothing was sent, and nothing will be."""


@dataclass(frozen=True, slots=True)
class NotDispatched:
    """The sender stopped before this one's turn; it may be tried after `wait` seconds."""

    wait: float = 0


SendResult = (
    Delivered | Rejected | RateLimited | ChatMigrated | ServerFailed | NotConnected | NoAnswer | Unauthorized
)
Attempt = SendResult | NotDispatched

_BY_DESCRIPTION: tuple[tuple[str, str], ...] = (
    ("blocked by the user", "USER_BLOCKED"),
    ("user is deactivated", "USER_DEACTIVATED"),
    ("can't initiate conversation", "BOT_NOT_STARTED"),
    ("chat not found", "CHAT_NOT_FOUND"),
    ("user not found", "CHAT_NOT_FOUND"),
    ("peer_id_invalid", "CHAT_NOT_FOUND"),
    ("bot was kicked", "BOT_KICKED"),
    ("not a member of", "BOT_KICKED"),
    ("message is too long", "MESSAGE_TOO_LONG"),
    ("caption is too long", "MESSAGE_TOO_LONG"),
    ("text is empty", "MESSAGE_EMPTY"),
)
_RETRY_AFTER = re.compile(r"retry after (\d+)")


def classify(status: int, body: object) -> SendResult:
    """What the HTTP `status` with the decoded JSON `body` (None: not JSON) means."""
    if not isinstance(body, Mapping) or not isinstance(body.get("ok"), bool):
        return NoAnswer()
    if body["ok"]:
        result = body.get("result")
        message_id = result.get("message_id") if isinstance(result, Mapping) else None
        return Delivered(message_id) if status == 200 and isinstance(message_id, int) else NoAnswer()
    return _refusal(status, body)


def _refusal(status: int, body: Mapping[str, Any]) -> SendResult:
    """An answer with `ok: false` in Telegram's form."""
    description = str(body.get("description", "")).lower()
    raw = body.get("parameters")
    parameters: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    if status == 429:
        return RateLimited(_retry_after(parameters, description))
    if status >= 500:
        return ServerFailed()
    new_chat = parameters.get("migrate_to_chat_id")
    if isinstance(new_chat, int):
        return ChatMigrated(new_chat)
    for fragment, code in _BY_DESCRIPTION:
        if fragment in description:
            return Rejected(code)
    if status in (401, 404):  # 404 is what a token of the wrong form gets
        return Unauthorized()
    return Rejected("FORBIDDEN" if status == 403 else "BAD_REQUEST")


def _retry_after(parameters: Mapping[str, Any], description: str) -> float:
    given = parameters.get("retry_after")
    if isinstance(given, int | float) and not isinstance(given, bool) and given > 0:
        return float(given)
    found = _RETRY_AFTER.search(description)
    return float(found[1]) if found else 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact's turn: its position in the shard and what it has been through.

    `tries` counts attempts that were used up, `waits` answers that used up none. `unanswered`: one of the
    attempts had no answer, so the message may have been delivered. `segments`: those of the audience that it
    is in, as they are when its window is formed; until then they mean nothing.
    """

    position: int
    tries: int = 0
    waits: int = 0
    unanswered: bool = False
    segments: tuple[str, ...] = ()

    def within(self, segments: tuple[str, ...]) -> "Candidate":
        """The same, being in these segments."""
        return Candidate(self.position, self.tries, self.waits, self.unanswered, segments)


@dataclass(frozen=True, slots=True)
class Final:
    """This is how it ended for `position` in this step; `message_id` is Telegram's number, `segments` those
    of the audience that the contact was in."""

    position: int
    status: Status
    at: datetime
    code: str | None = None
    variation_id: str | None = None
    message_id: int | None = None
    sent: bool = False
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Back:
    """Pending again from `due` on: known not to have been delivered, unless the candidate says otherwise.

    `for_hours`: nothing was tried, its quiet hours last until then.
    """

    candidate: Candidate
    due: datetime
    for_hours: bool = False


def settle(
    candidate: Candidate,
    result: Attempt,
    *,
    at: datetime,
    variation_id: str | None,
    retry_unknown: bool = False,
) -> Final | Back:
    """What becomes of the contact after one attempt that ended at `at`."""
    position, segments = candidate.position, candidate.segments
    last, code = candidate.tries + 1 >= MAX_TRIES, "TELEGRAM_ERROR"
    match result:
        case Delivered(message_id):
            return Final(position, "successful", at, None, variation_id, message_id, True, segments)
        case NoAnswer() if last or not retry_unknown:
            code = "DELIVERY_UNKNOWN"
        case Rejected(refusal):
            code = refusal
        case ServerFailed() | ChatMigrated() if last:
            pass
        case _:
            return _back(candidate, result, at)
    # After an attempt without an answer no failure says that nothing arrived.
    code = "DELIVERY_UNKNOWN" if candidate.unanswered else code
    return Final(position, status_of(code), at, code, variation_id, None, True, segments)


def passed_over(candidate: Candidate, code: str, *, at: datetime) -> Final:
    """What becomes of a contact that is sent nothing (more), for the reason `code`."""
    code = "DELIVERY_UNKNOWN" if candidate.unanswered else code
    return Final(candidate.position, status_of(code), at, code, segments=candidate.segments)


def _back(candidate: Candidate, result: Attempt, at: datetime) -> Back:
    """The way back after a `result` that is not the last word."""
    tries, waits = candidate.tries, candidate.waits
    match result:
        case RateLimited(wait) | NotDispatched(wait):
            return Back(candidate, at + timedelta(seconds=wait))
        case NotConnected():
            return Back(replace(candidate, waits=waits + 1), at + _backoff(waits))
        case ServerFailed():
            return Back(replace(candidate, tries=tries + 1), at + _backoff(tries))
        case NoAnswer():
            return Back(replace(candidate, tries=tries + 1, unanswered=True), at + _backoff(tries))
        case ChatMigrated():
            return Back(replace(candidate, tries=tries + 1), at)
    return Back(candidate, at)


def _backoff(times: int) -> timedelta:
    return timedelta(seconds=min(_RETRY_FIRST_SECONDS * 2**times, _RETRY_MOST_SECONDS))
