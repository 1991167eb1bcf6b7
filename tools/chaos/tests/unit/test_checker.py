"""The checker finds what it is there to find: each test spoils books that agree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from chaos.checker import Books, Pause, problems
from chaos.progress_check import ProgressCheck

CHATS = {"a": 1, "b": 2, "c": 3, "d": 4}


def entry(chat: int, outcome: str = "delivered", at: float = 100.0) -> dict[str, Any]:
    return {"chat_id": chat, "outcome": outcome, "at": at}


def row(contact: str, status: str = "successful") -> dict[str, Any]:
    return {"contactId": contact, "status": status}


def event(sequence: int, kind: str) -> dict[str, Any]:
    return {"id": f"evt_{sequence}", "type": f"campaign.{kind}", "data": {"sequence": sequence}}


def numbers(**other: int) -> dict[str, int]:
    counts = {
        "total": 4,
        "processed": 4,
        "pending": 0,
        "successful": 2,
        "failed": 1,
        "skipped": 0,
        "unknown": 1,
    }
    return counts | other


@pytest.fixture
def books() -> Books:
    """Two got it, one is blocked, of one nobody knows; one pause."""
    kinds = ("created", "started", "paused", "resumed", "completed")
    return Books(
        chats=CHATS,
        entries=[entry(1), entry(2, "server_error"), entry(2), entry(3, "blocked"), entry(4)],
        recipients=[row("a"), row("b"), row("c", "failed"), row("d", "unknown")],
        progress=numbers(),
        overview={"messagesSent": 3, "delivered": 2},
        campaign={"status": "completed", "statistics": {"messagesSent": 3}},
        events=[event(number, kind) for number, kind in enumerate(kinds, 1)],
        pauses=[Pause(answered=101, shown=101.5, resumed=110, disturbed=False)],
        unknown_at_most=1,
    )


def test_books_that_agree_have_no_problem(books: Books) -> None:
    assert problems(books) == []
    never_sent = [item for item in books.entries if item["chat_id"] != 4]
    assert problems(replace(books, entries=never_sent)) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda b: replace(b, recipients=b.recipients[1:]), "1 contacts have no row"),
        (lambda b: replace(b, recipients=[*b.recipients, row("a", "failed")]), "more than one row"),
        (lambda b: replace(b, recipients=[*b.recipients, row("z")]), "nobody that was meant"),
        (lambda b: replace(b, entries=[*b.entries, entry(4)]), "1 chats got it more than once"),
        (lambda b: replace(b, entries=[*b.entries, entry(9)]), "chats got it that nobody meant"),
        (lambda b: replace(b, entries=b.entries[1:]), "1 contacts are successful, but were reached otherwise"),
        (lambda b: replace(b, entries=[*b.entries, entry(3)]), "1 contacts are failed, but were reached"),
        (lambda b: replace(b, unknown_at_most=0), "only 0 were in flight"),
        (lambda b: replace(b, entries=[*b.entries, entry(2, "rate_limited")]), "refused 1 messages for the rate"),
        (lambda b: replace(b, progress=numbers(successful=3)), "progress says"),
        (lambda b: replace(b, progress=numbers(total=5, pending=1)), "progress is not complete"),
        (lambda b: replace(b, campaign=b.campaign | {"status": "active"}), "the campaign is active"),
        (lambda b: replace(b, overview=b.overview | {"delivered": 3}), "delivered is 3, not 2"),
        (lambda b: replace(b, campaign=b.campaign | {"statistics": {"messagesSent": 2}}), "campaign's messagesSent"),
        (lambda b: replace(b, events=b.events[:-1]), "the campaign's events are"),
        (lambda b: replace(b, events=[*b.events, event(7, "paused")]), "the sequences"),
        (lambda b: replace(b, events=[*b.events, b.events[0] | {"id": "evt_other"}]), "the sequences"),
        (lambda b: replace(b, entries=[*b.entries[:-1], entry(4, at=103.2)]), "sent 2.20 s after it"),
    ],
)  # fmt: skip
def test_each_disagreement_is_named(books: Books, spoil: Callable[[Books], Books], words: str) -> None:
    assert any(words in problem for problem in problems(spoil(books))), problems(spoil(books))


def test_an_event_that_came_twice_counts_once(books: Books) -> None:
    assert problems(replace(books, events=[*books.events, books.events[2]])) == []


def test_a_disturbed_pause_is_bound_from_when_it_was_shown(books: Books) -> None:
    late = [*books.entries[:-1], entry(4, at=105)]
    disturbed = Pause(answered=101, shown=104, resumed=110, disturbed=True)
    assert problems(replace(books, entries=late, pauses=[disturbed])) == []
    later = [*books.entries[:-1], entry(4, at=107)]
    assert any(
        "after it was shown" in text for text in problems(replace(books, entries=later, pauses=[disturbed]))
    )
    never_shown = replace(disturbed, shown=None)
    assert problems(replace(books, entries=later, pauses=[never_shown])) == []


def answer(status: str = "running", **other: int) -> dict[str, Any]:
    return {"status": status, "progress": numbers(total=6, pending=2) | other}


def fed(*answers: dict[str, Any]) -> list[str]:
    check = ProgressCheck()
    for item in answers:
        check.feed(item)
    assert check.reads == len(answers)
    return check.problems


def test_progress_that_grows_and_adds_up_has_no_problem() -> None:
    assert (
        fed(
            answer(),
            answer(),
            answer(total=7, pending=3),
            answer("completed", total=7, processed=7, pending=0, failed=4),
        )
        == []
    )


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([answer(total=7)], "total is not"),
        ([answer(successful=3)], "the sum of the outcomes"),
        ([answer("completed")], "completed with somebody pending"),
        ([answer(total=4, pending=0), answer(total=3, pending=-1)], "a number is negative"),
        ([answer(), answer(processed=3, pending=3, successful=1)], "successful shrank"),
        ([answer(), answer(total=5, pending=1)], "total shrank"),
        ([answer("completed", total=4, pending=0), answer(total=4, pending=0)], "completed did not last"),
    ],
)  # fmt: skip
def test_each_wrong_progress_is_named(answers: list[dict[str, Any]], words: str) -> None:
    assert any(words in problem for problem in fed(*answers)), fed(*answers)
