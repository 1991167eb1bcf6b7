"""What deliveries say of contacts is noted with them, and nothing is lost or invented when it cannot be."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from execution_service.application.note_reach import NoteReach
from execution_service.application.ports_sending import Rendered
from execution_service.application.prepare_window import Letter
from execution_service.domain.contact import Contact, Unreachable
from execution_service.domain.outcomes import Back, Candidate, Final, Status, status_of
from service_kit.ports import Tx

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
NAMES = ["ann", "ben", "cem", "dan", "eve"]
Audience = Any


@pytest.fixture
async def people(audience: Audience) -> Audience:
    """Five contacts in chats 1 to 5; eve was unreachable."""
    found = [Contact("acme", name, chat, NOW, NOW) for chat, name in enumerate(NAMES, 1)]
    found[-1] = replace(found[-1], unreachable="BLOCKED")
    await audience.transactions.run(lambda tx: audience.contacts.insert(tx, found))
    audience.changes.rows.clear()
    return audience


def letters() -> list[Letter]:
    noted: dict[str, Unreachable] = {"eve": "BLOCKED"}
    return [
        Letter(Candidate(place), name, place + 1, None, Rendered("x", "none"), noted.get(name))
        for place, name in enumerate(NAMES)
    ]


def results(*codes: str | None) -> list[Final | Back]:
    def one(place: int, code: str | None) -> Final | Back:
        if code == "again":
            return Back(Candidate(place), NOW)
        status: Status = status_of(code) if code else "successful"
        return Final(place, status, NOW, code)

    return [one(place, code) for place, code in enumerate(codes)]


async def note(audience: Audience, found: Sequence[Final | Back], *, seconds: float = 5) -> None:
    reach = NoteReach(
        contacts=audience.contacts,
        transactions=audience.transactions,
        clock=audience.clock,
        seconds=seconds,
    )
    await reach("acme", letters(), found)


def noted(audience: Audience) -> dict[str, str | None]:
    return {name: row.unreachable for name in NAMES if (row := audience.contacts.rows.get(f"acme/{name}"))}


async def test_each_answer_says_who_cannot_be_reached_and_a_delivery_who_can_again(people: Audience) -> None:
    found = results("USER_BLOCKED", "USER_DEACTIVATED", "CHAT_NOT_FOUND", "BOT_KICKED", None)
    await note(people, found)
    assert noted(people) == {
        "ann": "BLOCKED", "ben": "DEACTIVATED", "cem": "NO_CHAT", "dan": "BLOCKED", "eve": None
    }  # fmt: skip
    (change,) = people.changes.rows.values()  # one transaction, to be folded
    assert [name for _, name in change.contacts] == NAMES


async def test_other_outcomes_say_nothing_and_are_not_written(people: Audience) -> None:
    await note(people, results("BAD_REQUEST", "DELIVERY_UNKNOWN", "again", None, "TELEGRAM_ERROR"))
    await note(people, results(None, None, "BOT_NOT_STARTED", "FORBIDDEN", "USER_BLOCKED"))
    assert noted(people) == {**dict.fromkeys(NAMES), "eve": "BLOCKED"}
    assert not people.changes.rows


async def test_who_has_another_chat_by_now_or_was_erased_stays_as_they_are(people: Audience) -> None:
    moved = replace(people.contacts.rows["acme/ann"], telegram_chat_id=77)
    people.contacts.rows["acme/ann"] = moved
    del people.contacts.rows["acme/ben"]
    await note(people, results("USER_BLOCKED", "USER_BLOCKED", None, None, "USER_BLOCKED"))
    assert noted(people) == {"ann": None, "cem": None, "dan": None, "eve": "BLOCKED"}


async def test_a_database_that_is_away_for_a_moment_is_asked_again_and_one_that_stays_away_left(
    people: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, down = people.transactions.run, [3]

    async def run(work: Callable[[Tx], Awaitable[Any]]) -> Any:
        if down[0]:
            down[0] -= 1
            raise ConnectionError("no primary")
        return await real(work)

    monkeypatch.setattr(people.transactions, "run", run)
    await note(people, results("USER_BLOCKED", None, None, None, None))
    assert noted(people)["ann"] == "BLOCKED"
    down[0] = 1_000_000
    await note(people, results(None, "USER_BLOCKED", None, None, None), seconds=0.05)
    assert noted(people)["ben"] is None
