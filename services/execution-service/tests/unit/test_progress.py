"""What progress shows."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.domain.execution import BotRef, Execution, Plan, ShardSums
from execution_service.domain.org_settings import QuietHours
from execution_service.domain.progress import IDLE, NOBODY_WAITS, Waiting, bot_share, measure
from execution_service.domain.quiet_hours import Hours
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NEVER = Hours(None, "UTC", own_zones=True, edition=1)
RUNNING = Execution(
    "exec_1", "acme", "camp_1", "running",
    ExecutionSnapshot(
        messages=[FrozenMessage(id="msg", content="x")], audience=AudienceDefinition(),
        options=ExecutionOptions(), sampling_seed="s",
    ),
    NOW - timedelta(minutes=5), plan=Plan(done=True),
)  # fmt: skip


def test_the_time_left_follows_from_the_rate_of_the_last_minute() -> None:
    sums = ShardSums(
        targeted=8_500,
        counts={"successful": 5_300, "failed": 225},
        errors={"USER_BLOCKED": 225},
        pending={None: 2_975},
    )
    shown = measure(RUNNING, sums, hours=NEVER, sent_lately=120, now=NOW)
    assert (shown.status, shown.percentage, shown.pending, shown.rate) == ("running", 65, 2_975, 120)
    assert shown.estimated_completion == NOW + timedelta(minutes=2_975 / 120)
    assert [(item.code, item.count, item.message) for item in shown.errors] == [
        ("USER_BLOCKED", 225, "User has blocked the bot")
    ]


def test_an_execution_younger_than_a_minute_shows_its_own_speed() -> None:
    young = replace(RUNNING, created_at=NOW - timedelta(seconds=10))
    assert measure(young, ShardSums(targeted=9_000), hours=NEVER, sent_lately=1_000, now=NOW).rate == 6_000


def test_nothing_is_promised_while_the_audience_is_still_walked_or_nothing_was_sent() -> None:
    planning = replace(RUNNING, status="planning", plan=Plan())
    for execution, sent in ((planning, 500), (RUNNING, 0)):
        shown = measure(execution, ShardSums(targeted=10), hours=NEVER, sent_lately=sent, now=NOW)
        assert shown.status == "running"
        assert shown.estimated_completion is None


def test_before_anything_was_sent_the_bots_limits_and_the_share_of_them_tell_the_time() -> None:
    bots = (BotRef("bot_1", 1), BotRef("bot_2", 2), BotRef("bot_3", 3))
    options = ExecutionOptions(priority="high")
    messages = [FrozenMessage(id=name, content="x") for name in ("a", "b")]
    snapshot = RUNNING.snapshot.model_copy(update={"options": options, "messages": messages})
    execution = replace(RUNNING, bots=bots, frozen=snapshot)
    # Alone on the first, beside a low and a normal one on the second; the third is gone.
    allowed = bot_share(execution, {1: 30, 2: 70}, {1: 4, 2: 7})
    assert allowed == 30 + 40
    sums = ShardSums(targeted=800, counts={"skipped": 100}, pending={None: 700})
    shown = measure(execution, sums, hours=NEVER, sent_lately=0, allowed=allowed, now=NOW)
    assert shown.estimated_completion == NOW + timedelta(seconds=700 * 2 / 70)
    assert measure(execution, sums, hours=NEVER, sent_lately=0, now=NOW).estimated_completion is None


def test_those_who_wait_for_their_hours_are_shown_and_waited_for() -> None:
    """At noon in London it is nine in the evening in Tokyo, where nobody is sent to before nine."""
    night = Hours(QuietHours(time(21), time(9)), "Europe/London", own_zones=True, edition=1)
    tomorrow = datetime(2026, 6, 2, tzinfo=UTC)
    sums = ShardSums(
        targeted=900,
        held={tomorrow: 200, tomorrow + timedelta(hours=3): 100, NOW: 50},
        pending={"Asia/Tokyo": 300, None: 600},
    )
    shown = measure(RUNNING, sums, hours=night, sent_lately=60, now=NOW)
    assert shown.waiting == Waiting(300, tomorrow)
    assert shown.estimated_completion == tomorrow + timedelta(seconds=300)
    paused = measure(replace(RUNNING, status="paused"), sums, hours=None, sent_lately=0, now=NOW)
    assert (paused.waiting, paused.estimated_completion) == (NOBODY_WAITS, None)


def test_what_has_ended_has_no_rate() -> None:
    for status in ("completed", "failed"):
        shown = measure(
            replace(RUNNING, status=status), ShardSums(targeted=1), hours=NEVER, sent_lately=50, now=NOW
        )
        assert (shown.status, shown.rate, shown.estimated_completion) == (status, 0, None)


def test_nobody_to_write_to_is_complete() -> None:
    assert (
        measure(
            replace(RUNNING, status="completed"), ShardSums(), hours=NEVER, sent_lately=0, now=NOW
        ).percentage
        == 100
    )
    assert IDLE.percentage == 0


@given(st.lists(st.integers(0, 50), min_size=5, max_size=5))
def test_a_hundred_percent_means_nobody_is_pending(numbers: list[int]) -> None:
    counts = dict(zip(("successful", "failed", "skipped", "unknown"), numbers, strict=False))
    sums = ShardSums(targeted=sum(numbers), counts=counts)
    shown = measure(RUNNING, sums, hours=NEVER, sent_lately=1, now=NOW)
    assert shown.pending == numbers[4]
    assert shown.sums.processed + shown.pending == shown.sums.targeted
    assert (shown.percentage == 100) == (shown.pending == 0 and sum(numbers) > 0)
