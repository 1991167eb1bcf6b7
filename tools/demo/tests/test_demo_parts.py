"""The demo's own parts: the invented people and the comparison."""

import hashlib
from pathlib import Path

from demo.compare import compare, last_outcomes
from demo.contacts import COUNT, people, write

OVERVIEW = {"delivered": 1, "messagesSent": 2}
PROGRESS = {"successful": 1, "failed": 1, "skipped": 0, "unknown": 0, "total": 2}
ENTRIES = [
    {"chat_id": 1, "outcome": "rate_limited"},
    {"chat_id": 1, "outcome": "server_error"},
    {"chat_id": 1, "outcome": "delivered"},
    {"chat_id": 2, "outcome": "blocked"},
]
RECIPIENTS = [
    {"contactId": "a", "status": "successful", "errorCode": None},
    {"contactId": "b", "status": "failed", "errorCode": "USER_BLOCKED"},
]


def test_the_people_are_the_same_every_time(tmp_path: Path):
    write(tmp_path / "a.csv")
    write(tmp_path / "b.csv")
    first, second = (
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.csv", "b.csv")
    )
    assert first == second
    assert list(tmp_path.glob("*.part")) == []


def test_the_people_are_as_various_as_the_world():
    rows = list(people())
    assert len(rows) == COUNT
    assert len({row["id"] for row in rows}) == len({row["telegramChatId"] for row in rows}) == COUNT
    assert len({row["timezone"] for row in rows if row["timezone"]}) >= 12
    text = "".join(row["firstName"] for row in rows)
    for sample in "שéم🌞さआ小":
        assert sample in text
    for column in ("firstName", "lastName", "username", "age", "location", "timezone"):
        assert any(not row[column] for row in rows), column


def test_books_that_agree_are_equal_line_by_line():
    assert all(row.agrees for row in compare(ENTRIES, RECIPIENTS, OVERVIEW, PROGRESS))


def test_a_message_that_went_out_twice_is_seen():
    entries = [*ENTRIES, {"chat_id": 1, "outcome": "delivered"}]
    wrong = [row.name for row in compare(entries, RECIPIENTS, OVERVIEW, PROGRESS) if not row.agrees]
    assert wrong == ["chats that got it twice"]


def test_a_recipient_that_is_missing_is_seen():
    wrong = [row.name for row in compare(ENTRIES, RECIPIENTS[:1], OVERVIEW, PROGRESS) if not row.agrees]
    assert "people in the execution" in wrong
    assert "blocked the bot" in wrong


def test_a_wrong_statistic_is_seen():
    wrong = compare(ENTRIES, RECIPIENTS, {**OVERVIEW, "messagesSent": 3}, PROGRESS)
    assert [row.name for row in wrong if not row.agrees] == ["definite answers (messagesSent)"]


def test_a_chat_ends_with_its_delivery_even_if_other_answers_came():
    assert last_outcomes(ENTRIES) == ({1: "delivered", 2: "blocked"}, 0)
