"""Compares the books after an execution: what the simulator saw, and what the API tells.

Knows nothing of how the services work. Pure functions over answers; each problem is a sentence.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.compare import REACHED

from chaos.progress_check import OUTCOMES

PROMISED_SECONDS = 2.0
"""After a pause nothing is sent any more."""

REFUSED_SHARE = 0.02
"""Of the contacts: so many 429 at most."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Times are seconds since the epoch."""

    answered: float
    """When the API had said yes."""
    shown: float | None
    """When progress showed `paused` for the first time; None when it was resumed before that."""
    resumed: float
    """When the resume was asked for."""
    disturbed: bool
    """Whether a part on the way from the API to the workers was away, or began to be, in these moments."""

    def latest_send(self, entries: Sequence[Mapping[str, Any]]) -> float:
        """Seconds after the answer of the last send before it was resumed; 0 without one."""
        times = [entry["at"] for entry in entries if self.answered < entry["at"] < self.resumed]
        return max(times, default=self.answered) - self.answered


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that is compared."""

    chats: Mapping[str, int]
    """Contact id to chat, of everybody the campaign means."""
    entries: Sequence[Mapping[str, Any]]
    """The simulator's ledger."""
    recipients: Sequence[Mapping[str, Any]]
    progress: Mapping[str, Any]
    """`progress` of the last answer."""
    overview: Mapping[str, Any]
    """`overview` of the statistics."""
    campaign: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    """Webhooks of the campaign, as they arrived; repeats have the same `id`."""
    pauses: Sequence[Pause]
    unknown_at_most: int
    """Intents in flight at the kills."""


def problems(books: Books) -> list[str]:
    """What does not agree."""
    return [
        *_everyone_once(books),
        *_delivered_as_told(books),
        *_within_the_rate(books),
        *_numbers(books),
        *_events(books),
        *_paused(books),
    ]


def _everyone_once(books: Books) -> Iterator[str]:
    rows = Counter(row["contactId"] for row in books.recipients)
    lost = books.chats.keys() - rows.keys()
    if lost:
        yield f"{len(lost)} contacts have no row: {sorted(lost)[:5]}"
    if strange := rows.keys() - books.chats.keys():
        yield f"{len(strange)} rows are about nobody that was meant: {sorted(strange)[:5]}"
    if twice := [contact for contact, times in rows.items() if times > 1]:
        yield f"{len(twice)} contacts have more than one row: {sorted(twice)[:5]}"


def _delivered_as_told(books: Books) -> Iterator[str]:
    reached = Counter(entry["chat_id"] for entry in books.entries if entry["outcome"] in REACHED)
    if twice := [chat for chat, times in reached.items() if times > 1]:
        yield f"{len(twice)} chats got it more than once: {twice[:5]}"
    told = {row["contactId"]: row["status"] for row in books.recipients}
    for status, times in (("successful", 1), ("failed", 0), ("skipped", 0)):
        wrong = [c for c, chat in books.chats.items() if told.get(c) == status and reached[chat] != times]
        if wrong:
            yield f"{len(wrong)} contacts are {status}, but were reached otherwise: {wrong[:5]}"
    if strange := reached.keys() - set(books.chats.values()):
        yield f"{len(strange)} chats got it that nobody meant: {sorted(strange)[:5]}"
    unknown = sum(status == "unknown" for status in told.values())
    if unknown > books.unknown_at_most:
        yield f"{unknown} are unknown, but only {books.unknown_at_most} were in flight at the kills"


def _within_the_rate(books: Books) -> Iterator[str]:
    """Arrivals may jitter, more so on a machine that is busy starting processes: a few are let through."""
    refused = sum(entry["outcome"] == "rate_limited" for entry in books.entries)
    if refused > len(books.chats) * REFUSED_SHARE:
        yield f"Telegram refused {refused} messages for the rate"


def _numbers(books: Books) -> Iterator[str]:
    rows = Counter(row["status"] for row in books.recipients)
    told = {name: books.progress[name] for name in OUTCOMES}
    if told != {name: rows[name] for name in OUTCOMES}:
        yield f"progress says {told}, the rows {dict(rows)}"
    if (books.progress["total"], books.progress["pending"]) != (len(books.chats), 0):
        yield f"progress is not complete: {books.progress}"
    if books.campaign["status"] != "completed":
        yield f"the campaign is {books.campaign['status']}"
    definite = rows["successful"] + rows["failed"]
    for name, wanted in (("messagesSent", definite), ("delivered", rows["successful"])):
        if books.overview[name] != wanted:
            yield f"statistics: {name} is {books.overview[name]}, not {wanted}"
    if books.campaign["statistics"]["messagesSent"] != definite:
        yield f"the campaign's messagesSent is {books.campaign['statistics']['messagesSent']}, not {definite}"


def _events(books: Books) -> Iterator[str]:
    """One event to a sequence, none left out, as many pauses as there were."""
    by_id = {event["id"]: event for event in books.events}
    ids = Counter(event["data"]["sequence"] for event in by_id.values())
    if ids != dict.fromkeys(range(1, len(ids) + 1), 1):
        yield f"the sequences of the campaign's events are {sorted(ids.elements())}"
    types = Counter(event["type"] for event in by_id.values())
    paused = len(books.pauses)
    wanted = {"created": 1, "started": 1, "paused": paused, "resumed": paused, "completed": 1}
    if types != {f"campaign.{name}": times for name, times in wanted.items() if times}:
        yield f"the campaign's events are {dict(types)}, not {wanted}"


def _paused(books: Books) -> Iterator[str]:
    for number, pause in enumerate(books.pauses, 1):
        late = pause.latest_send(books.entries)
        if not pause.disturbed and late > PROMISED_SECONDS:
            yield f"pause {number}: something was sent {late:.2f} s after it"
        if pause.shown is None:
            continue
        after = late - (pause.shown - pause.answered)
        if after > PROMISED_SECONDS:
            yield f"pause {number}: something was sent {after:.2f} s after it was shown"
