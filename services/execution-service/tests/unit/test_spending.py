"""What counts against a budget: the same as statistics count, whatever becomes of a message."""

from datetime import UTC, datetime

from contracts.outcome_codes import MESSAGES
from execution_service.domain.outcomes import (
    Attempt,
    Back,
    Candidate,
    Delivered,
    Final,
    NoAnswer,
    NotConnected,
    NotDispatched,
    RateLimited,
    Rejected,
    ServerFailed,
    Status,
    passed_over,
    settle,
    status_of,
)
from execution_service.domain.retrying import Former
from execution_service.domain.spending import Account, counts, is_paid, spent_by
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ATTEMPTS: list[Attempt] = [
    Delivered(1), Rejected("USER_BLOCKED"), Rejected("MESSAGE_TOO_LONG"), NoAnswer(), RateLimited(3),
    NotDispatched(), NotConnected(), ServerFailed(),
]  # fmt: skip


def final(status: Status, code: str | None = None) -> Final:
    return Final(0, status, NOW, code)


def test_a_message_counts_when_telegram_answered_it_or_may_have_taken_it() -> None:
    assert counts(final("successful"))
    assert counts(final("unknown", "DELIVERY_UNKNOWN"))
    for code in MESSAGES:
        ours = code in ("MESSAGE_TOO_LONG", "MESSAGE_EMPTY")
        assert counts(final(status_of(code), code)) == (status_of(code) != "skipped" and not ours)


def test_a_message_of_a_retry_is_paid_when_the_one_before_it_was() -> None:
    def former(status: Status, code: str | None) -> Former:
        return Former(0, "msg", None, status, code)

    assert is_paid(Candidate(0), former("failed", "USER_BLOCKED"))
    assert is_paid(Candidate(0), former("unknown", "DELIVERY_UNKNOWN"))
    assert not is_paid(Candidate(0), former("skipped", "OPTED_OUT"))
    assert not is_paid(Candidate(0), former("failed", "MESSAGE_EMPTY"))
    assert not is_paid(Candidate(0, tries=2), None)
    assert is_paid(Candidate(0, tries=1, unanswered=True), None)


FORMERS = st.sampled_from([
    None, Former(0, "msg", None, "failed", "USER_BLOCKED"), Former(0, "msg", None, "failed", "MESSAGE_EMPTY"),
    Former(0, "msg", None, "skipped", "OPTED_OUT"), Former(0, "msg", None, "unknown", "DELIVERY_UNKNOWN"),
])  # fmt: skip


@given(st.data(), st.lists(FORMERS, min_size=1, max_size=6), st.booleans())
def test_the_account_says_at_any_time_what_may_have_been_sent(
    data: st.DataObject, former: list[Former | None], again: bool
) -> None:
    """Windows of any letters, any answers, crashes, and contacts that are passed over meanwhile."""
    pending, ended = {place: Candidate(place) for place in range(len(former))}, dict[int, Final]()
    account = Account()

    def expected(under_way: set[int]) -> int:
        return sum(
            (
                counts(ended[place])
                if place in ended
                else place in under_way or is_paid(pending[place], former[place])
            )
            - is_paid(Candidate(place), former[place])
            for place in range(len(former))
        )

    while pending:
        taken = [item for item in pending.values() if not data.draw(st.booleans())]
        over = {item.position for item in taken if data.draw(st.integers(0, 5)) == 5}
        letters = [item for item in taken if item.position not in over]
        results: list[Final | Back] = [
            passed_over(item, "OPTED_OUT", at=NOW) for item in taken if item.position in over
        ]
        account = account.open(sum(not is_paid(item, former[item.position]) for item in letters))
        assert account.total == expected({item.position for item in letters})
        crashed = data.draw(st.integers(0, 5)) == 5
        for item in letters:
            attempt = NoAnswer() if crashed else data.draw(st.sampled_from(ATTEMPTS))
            results.append(settle(item, attempt, at=NOW, variation_id=None, retry_unknown=again))
        for result in results:
            if isinstance(result, Final):
                ended[result.position] = result
                del pending[result.position]
            else:
                pending[result.candidate.position] = result.candidate
        account = account.close(spent_by(letters, results, former.__getitem__))
        assert account.total == expected(set())
        assert account.tell().untold == 0
