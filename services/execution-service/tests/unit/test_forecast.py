"""What an execution would come to, by contact and by message."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.campaign import FrozenMessage
from execution_service.domain.contact import Addressee, Unreachable
from execution_service.domain.forecast import Course, Foretold, course, foretell
from execution_service.domain.rendering import CompiledMessage, compile_message
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
COURSES = st.lists(
    st.builds(
        Course,
        messages=st.integers(0, 3),
        code=st.sampled_from([None, "OPTED_OUT", "MISSING_FIELD"]),
        timezone=st.sampled_from([None, "Europe/Berlin"]),
    ),
    max_size=12,
)


def steps(*contents: str) -> list[CompiledMessage]:
    return [compile_message(FrozenMessage(id=f"m{n}", content=text)) for n, text in enumerate(contents)]


def someone(*, opted_out: bool = False, unreachable: Unreachable | None = None, **fields: Any) -> Addressee:
    return Addressee(7, opted_out, fields, unreachable=unreachable)


@pytest.mark.parametrize(
    ("contact", "allowance", "expected"),
    [
        (None, None, (0, "CONTACT_ERASED")),
        (someone(opted_out=True, unreachable="BLOCKED"), 0, (0, "OPTED_OUT")),
        (someone(unreachable="NO_CHAT"), 0, (0, "NO_CHAT")),
        (someone(firstName="A"), None, (1, "MISSING_FIELD")),
        (someone(firstName="A"), 1, (1, "MISSING_FIELD")),
        (someone(firstName="A"), 0, (0, "FREQUENCY_CAP")),
        (someone(firstName="A", lastName="x" * 5000), None, (1, "MESSAGE_TOO_LONG")),
        (someone(firstName="A", lastName="L"), None, (3, None)),
        (someone(firstName="A", lastName="L"), 3, (3, None)),
        (someone(firstName="A", lastName="L"), 2, (2, "FREQUENCY_CAP")),
    ],
)
def test_a_course_ends_at_the_first_message_that_is_not_sent(
    contact: Addressee | None, allowance: int | None, expected: tuple[int, str | None]
) -> None:
    messages = steps("Hi {{firstName}}", "Dear {{lastName}}", "Bye")
    found = course(messages, "c1", contact, seed="s", allowance=allowance)
    assert (found.messages, found.code) == expected


def test_a_budget_pays_for_the_first_messages_of_all_before_the_second_ones() -> None:
    courses = [
        Course(2, None, "UTC"),
        Course(1, "MISSING_FIELD", None),
        Course(0, "BLOCKED", None),
        Course(2, None, None),
    ]
    assert foretell(courses, affordable=None) == Foretold(
        {"MISSING_FIELD": 1, "BLOCKED": 1}, {"UTC": 2, None: 3}
    )
    assert foretell(courses, affordable=4) == Foretold(
        {"MISSING_FIELD": 1, "BLOCKED": 1, "BUDGET_EXHAUSTED": 1}, {"UTC": 2, None: 2}
    )
    assert foretell(courses, affordable=2) == Foretold(
        {"MISSING_FIELD": 1, "BLOCKED": 1, "BUDGET_EXHAUSTED": 2}, {"UTC": 1, None: 1}
    )
    assert foretell(courses, affordable=0) == Foretold({"BLOCKED": 1, "BUDGET_EXHAUSTED": 3}, {})


@given(COURSES, st.integers(0, 40))
def test_every_contact_ends_once_and_exactly_what_is_affordable_is_sent(
    courses: list[Course], affordable: int
) -> None:
    courses = [one if one.code or one.messages == 3 else Course(3, None, one.timezone) for one in courses]
    free, told = foretell(courses, affordable=None), foretell(courses, affordable=affordable)
    assert free.sent == sum(one.messages for one in courses)
    assert free.codes == Counter(one.code for one in courses if one.code)
    assert told.sent == min(affordable, free.sent)
    finished = sum(told.codes.values()) + sum(one.code is None for one in courses)
    unpaid_of_all = told.codes.get("BUDGET_EXHAUSTED", 0)
    assert len(courses) <= finished <= len(courses) + unpaid_of_all
    assert (unpaid_of_all == 0) == (affordable >= free.sent)
