"""The execution bench measures what it says: both files hold the same contacts, and a wrong count shows."""

from datetime import UTC, datetime
from typing import Any

from execution_aims import aims
from execution_contacts import contact_id, csv_lines, message_text, ndjson
from execution_service.domain.contact import Contact, change_contact
from execution_service.entrypoints.api.csv_contacts import CsvReader
from execution_service.entrypoints.api.lines import LineSplitter
from execution_service.entrypoints.api.ndjson import NdjsonReader

COUNT = 1_203


def read(chunks: Any, reader: Any) -> list[Contact]:
    splitter, now = LineSplitter(), datetime(2024, 6, 1, tzinfo=UTC)
    lines = [line for chunk in chunks for line in reader.feed(splitter.feed(chunk))]
    lines += [*reader.feed(splitter.finish()), *reader.finish()]
    assert not [line.problem for line in lines if line.problem]
    return [
        change_contact(None, line.changes, org="o", contact_id=line.contact_id, now=now) for line in lines
    ]


def test_csv_and_ndjson_hold_the_same_contacts_each_with_a_chat_of_its_own() -> None:
    contacts = read(ndjson(COUNT), NdjsonReader())
    assert read(csv_lines(COUNT), CsvReader()) == contacts
    assert [one.telegram_chat_id for one in contacts] == list(range(1, COUNT + 1))
    assert contacts[-1].contact_id == contact_id(COUNT)
    assert str(contacts[-1].first_name) in message_text(COUNT)


def whole(*, unique: int, doubled: int, correct: bool) -> dict[str, Any]:
    run = {
        "recipients": 100, "workers": 1, "perSecond": 20_000.0, "bytes": {"windows": 30.0}, "correct": correct,
        "sink": {"unique": unique, "doubled": doubled}, "processes": {"execution-worker": {"most": 150.0}},
    }  # fmt: skip
    ceilings = [{"client": "adapter", "processes": 1, "perSecond": 25_000.0}]
    return {"runs": [run], "ceilings": ceilings, "planning": []}


def test_a_recipient_who_got_nothing_or_two_messages_is_an_aim_missed() -> None:
    assert "| lost or sent twice | 0 | 0 and 0 | yes |" in aims(whole(unique=100, doubled=0, correct=True))
    assert "| lost or sent twice | 0 | 2 and 0 | no |" in aims(whole(unique=98, doubled=0, correct=False))
    assert "| lost or sent twice | 0 | 0 and 1 | no |" in aims(whole(unique=100, doubled=1, correct=False))


def test_a_speed_is_held_against_as_many_bare_loops() -> None:
    lines = aims(whole(unique=100, doubled=0, correct=True))
    assert "| of the fastest client's bare loop | ≥ 60 % | 80% | yes |" in lines
