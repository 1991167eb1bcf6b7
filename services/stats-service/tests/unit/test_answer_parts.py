"""The parts of an answer, and what is asked of it."""

import pytest
from stats_service.domain.answer import (
    MEASUREMENT,
    Reach,
    SureReach,
    cost,
    errors,
    overview,
    rates,
    segments,
    timeline,
    variations,
)
from stats_service.domain.dimensions import Kind, Line
from stats_service.domain.errors import InvalidParameter
from stats_service.domain.periods import Period
from stats_service.domain.question import OVERVIEW, Part, question


def message(identifier: str, variation: str = "") -> Line:
    return Line(Kind.MESSAGE, identifier, variation)


def test_rates_are_those_of_the_contract() -> None:
    found = rates({"sent": 8500, "delivered": 8200, "read": 6500, "clicked": 1200, "converted": 425})
    assert (found.delivery_rate, found.read_rate, found.click_rate, found.conversion_rate) == (
        96.5, 76.5, 14.1, 5.0,
    )  # fmt: skip


def test_rates_are_zero_when_nothing_was_sent() -> None:
    found = rates({"skipped": 3, "delivered": 1, "clicked": 2})
    assert (found.delivery_rate, found.read_rate, found.click_rate, found.conversion_rate) == (0, 0, 0, 0)


def test_nothing_is_shown_below_zero() -> None:
    counts = dict.fromkeys(["sent", "delivered", "read", "converted", "revenue-EUR"], -1)
    assert set(
        overview(counts, "EUR", [name for name in OVERVIEW if name != "revenueByCurrency"]).values()
    ) == {0}
    assert overview(counts, "EUR", ["revenueByCurrency"]) == {"revenueByCurrency": {}}
    [bucket] = timeline(["2024-06-01"], [counts], "EUR")
    assert (bucket.sent, bucket.conversions, bucket.revenue) == (0, 0, 0)


def test_revenue_is_in_the_organisations_currency_and_every_other_is_beside_it() -> None:
    counts = {"revenue-EUR": 425_000_001, "revenue-USD": 5_000, "revenue-GBP": 0}
    found = overview(counts, "EUR", ["revenue", "revenueByCurrency"])
    assert found == {"revenue": 42500.0001, "revenueByCurrency": {"EUR": 42500.0001, "USD": 0.5}}
    assert overview(counts, "CHF", ["revenue"]) == {"revenue": 0}


def test_money_is_exact_to_the_ten_thousandth_however_much_it_is() -> None:
    units = 123_456_789_012_345
    assert overview({"revenue-EUR": units}, "EUR", ["revenue"])["revenue"] == 12_345_678_901.2345


def test_the_audiences_segments_come_in_its_order_then_others_with_numbers() -> None:
    lines = {
        Line(Kind.SEGMENT, "z"): {"sent": 2000, "delivered": 1900, "clicked": 300, "converted": 170},
        Line(Kind.SEGMENT, "gone"): {"sent": 1},
        Line(Kind.SEGMENT, "taken back"): {"sent": 0, "failed": -1},
    }
    found = segments(lines, ["z", "a"], {"z": "Premium Users", "gone": "Gone", "a": ""})
    assert [(segment.segment_id, segment.name) for segment in found] == [
        ("z", "Premium Users"), ("a", "a"), ("gone", "Gone"),
    ]  # fmt: skip
    first, second, _ = found
    assert first.performance == Reach(2000, 1900, 15.0, 8.5)
    assert second.performance == Reach(0, 0, 0, 0)


def test_variations_come_in_the_campaigns_order_and_only_those_with_numbers_beside_them() -> None:
    lines = {
        message("b", "v2"): {"sent": 148, "converted": 15, "clicked": 0},
        message("old"): {"sent": 1},
        message("a", "gone"): {"skipped": 1},
        message("b", "empty"): {"sent": 0},
    }
    found = variations(lines, [("b", ("v2", "v1")), ("a", ())])
    assert [(one.message_id, one.variation_id) for one in found] == [
        ("b", "v2"), ("b", "v1"), ("a", None), ("a", "gone"), ("old", None),
    ]  # fmt: skip
    assert found[0].performance == SureReach(148, 0, 0, 10.1, (6.2, 16.0), (0, 2.5))
    assert found[1].performance == SureReach(0, 0, 0, 0, (0, 100), (0, 100))


def test_a_messages_own_text_is_shown_beside_its_variations_once_it_has_numbers() -> None:
    messages = [("m", ("v",))]
    assert [one.variation_id for one in variations({}, messages)] == ["v"]
    assert [one.variation_id for one in variations({message("m"): {"sent": 1}}, messages)] == [None, "v"]


def test_errors_come_most_frequent_first_in_the_words_of_the_progress() -> None:
    def line(outcome: str, code: str) -> Line:
        return Line(Kind.ERROR, outcome, code)

    found = errors(
        {
            line("skipped", "OPTED_OUT"): {"count": 7},
            line("failed", "USER_BLOCKED"): {"count": 150},
            line("failed", "TAKEN_BACK"): {"count": 0},
            line("failed", "A_NEW_ONE"): {"count": 7},
        }
    )
    assert [(error.code, error.outcome, error.count, error.message) for error in found] == [
        ("USER_BLOCKED", "failed", 150, "User has blocked the bot"),
        ("A_NEW_ONE", "failed", 7, "A_NEW_ONE"),
        ("OPTED_OUT", "skipped", 7, "Contact has opted out"),
    ]


def test_what_is_left_of_the_budget_is_after_all_messages_of_all_time() -> None:
    found = cost(3, 10, 0.1, "EUR", 1.5)
    assert (found.total, found.per_message, found.budget, found.remaining) == (0.3, 0.1, 1.5, 0.5)
    assert cost(3, 20, 0.1, "EUR", 1.5).remaining == -0.5, "overspent"
    assert cost(3, 10, 0.1, "EUR", None).remaining is None


def test_every_number_has_a_word_for_where_it_comes_from() -> None:
    assert set(MEASUREMENT) == {*OVERVIEW, "cost"}
    assert (MEASUREMENT["messagesSent"], MEASUREMENT["read"], MEASUREMENT["converted"]) == (
        "measured", "inferred", "reported",
    )  # fmt: skip


def test_all_is_everything_and_a_field_brings_the_overview_with_itself_alone() -> None:
    for metrics in ("all", "all,clicked", ",".join(Part)):
        asked = question(Period.ALL, metrics, "UTC")
        assert (asked.parts, asked.fields) == (frozenset(Part), frozenset(OVERVIEW))
    asked = question(Period.ALL, "clicked,timeline,clicked", "UTC")
    assert (asked.parts, asked.fields) == ({Part.OVERVIEW, Part.TIMELINE}, {"clicked"})
    assert question(Period.ALL, "cost", "UTC").fields == frozenset()


@pytest.mark.parametrize("metrics", ["", "overview,", "Overview", " overview", "sent", "measurement", "*"])
def test_an_unknown_metric_is_refused_by_name(metrics: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        question(Period.ALL, metrics, "UTC")
    [detail] = refused.value.details
    assert detail.field == "metrics" and "is none of all, overview" in detail.message


@pytest.mark.parametrize(
    "timezone", ["", "Mars/Olympus", "europe/berlin", "localtime", "Factory", "+01:00", "../etc"]
)
def test_what_is_no_time_zone_is_refused_for_every_period(timezone: str) -> None:
    for period in Period:
        with pytest.raises(InvalidParameter) as refused:
            question(period, "all", timezone)
        assert [detail.field for detail in refused.value.details] == ["timezone"]


def test_periods_without_days_are_the_same_question_in_every_zone() -> None:
    for period in Period:
        local = question(period, "all", "Asia/Tokyo") != question(period, "all", "UTC")
        assert local == (period in (Period.WEEK, Period.MONTH, Period.ALL))
