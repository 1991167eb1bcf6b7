"""What the numbers mean."""

import pytest
from stats_service.domain.facts import Outcome, TallyRow
from stats_service.domain.numbers import Counts, overview, performance


@pytest.mark.parametrize(
    ("outcome", "error", "sent", "delivered"),
    [
        ("successful", None, 1, 1),
        ("failed", "USER_BLOCKED", 1, 0),
        ("failed", "TELEGRAM_ERROR", 1, 0),
        ("failed", "MESSAGE_TOO_LONG", 0, 0),
        ("failed", "NETWORK", 0, 0),
        ("skipped", "MISSING_FIELD", 0, 0),
        ("unknown", "DELIVERY_UNKNOWN", 0, 0),
    ],
)
def test_sent_is_what_telegram_answered_definitely(
    outcome: Outcome, error: str | None, sent: int, delivered: int
) -> None:
    counts = Counts()
    counts.add(TallyRow(0, "msg_1", None, outcome, error, 1))
    assert (counts.sent, counts.delivered) == (sent, delivered)
    assert counts.delivered + counts.failed + counts.skipped + counts.unknown == 1


def test_rates_are_percent_of_sent_with_one_decimal() -> None:
    assert performance(overview(Counts(sent=8500, delivered=8200))).delivery_rate == 96.5


def test_rates_are_zero_when_nothing_was_sent() -> None:
    rates = performance(overview(Counts(skipped=3)))
    assert (rates.delivery_rate, rates.read_rate, rates.click_rate, rates.conversion_rate) == (0, 0, 0, 0)
