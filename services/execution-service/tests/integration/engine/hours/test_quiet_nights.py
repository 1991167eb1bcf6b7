"""Two days around a night in which clocks are changed: nobody hears from us in their quiet hours, everybody
hears once, and no budget is passed. `make chaos` has 20,000 contacts."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from execution_service.bootstrap_engine import make_planner

pytestmark = pytest.mark.integration
WHOLE = bool(os.environ.get("WHOLE_NIGHTS"))
PEOPLE, STEPS = (20_000, 1) if WHOLE else (240, 2)
PAID = PEOPLE // 11 * STEPS * 2 // 3
"""The messages that a second campaign's budget pays for; it goes to every eleventh contact."""
ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "America/Los_Angeles",
    "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe",
    "Pacific/Chatham", None,
)  # fmt: skip
"""Twelve: those without one live by the organisation's, which nobody has set, so UTC."""
NIGHTS = (
    # The day before; quiet hours, an end of which is left out, or comes twice, in the night.
    ("2026-03-28", ("21:00", "02:30")),  # spring in Europe: 02:00 is 03:00
    ("2026-10-24", ("21:00", "02:30")),  # autumn: 02:00 to 03:00 comes twice
    ("2026-03-07", ("02:30", "09:00")),  # spring in the United States
    ("2026-10-31", ("01:30", "09:00")),  # autumn: 01:00 to 02:00 comes twice
)


def forbidden(hours: tuple[str, str], zone: str | None, at: datetime) -> bool:
    """Whether the wall clock there shows a time in the quiet hours, by counting minutes."""
    shown = at.astimezone(ZoneInfo(zone or "UTC"))
    begin, end, now = (60 * int(text[:2]) + int(text[3:]) for text in (*hours, f"{shown:%H:%M}"))
    return (now - begin) % 1440 < (end - begin) % 1440


@pytest.mark.parametrize(("day", "hours"), NIGHTS if WHOLE else NIGHTS[:2])
def test_nobody_is_sent_to_in_quiet_hours_and_everybody_once(
    live: Callable[..., None], day: str, hours: tuple[str, str]
) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=0 if WHOLE else 21)

    async def scenario(days: Any) -> None:
        zones = await days.people(list(islice(cycle(ZONES), PEOPLE)))
        await days.put_settings(cost_per_message=0.1)
        execution_id = await days.engine.accept(days.started(hours, messages=STEPS))
        some = days.started(hours, segments=["vip"], messages=STEPS, budget=PAID / 10)
        cheap = await days.engine.accept(some)
        for _ in range(2):
            assert await make_planner(days.wiring).run_once("planner")
        async with days.working(workers=2 if WHOLE else 1):
            await days.completed(execution_id, hours=96)
            await days.completed(cheap, hours=96)
        late = [
            (at, zone) for at, chat, _ in days.telegram.attempts if forbidden(hours, zone := zones[chat], at)
        ]
        assert late == []
        received = days.telegram.received()
        everybody = {(chat, f"{step}: Hi A"): 1 for chat in zones for step in range(STEPS)}
        again = received - Counter(everybody)
        assert received == Counter(everybody) + again
        sums = await days.wiring.shards.sums(execution_id)
        assert (sums.targeted, dict(sums.counts)) == (PEOPLE, {"successful": PEOPLE})
        # What came twice is what the budget of the second campaign pays for, no more and no less.
        assert set(again.values()) == {1} and again.total() == PAID
        sums = await days.wiring.shards.sums(cheap)
        assert (sums.targeted, set(sums.errors)) == (PEOPLE // 11, {"BUDGET_EXHAUSTED"})
        assert sums.counts["successful"] + sums.counts["skipped"] == PEOPLE // 11
        # The night was in the middle of it.
        sent_in = {int((at - start).total_seconds() // 3600) for at, _, _ in days.telegram.attempts}
        assert (min(sent_in), max(sent_in) >= 5) == (0, True)
        if WHOLE:
            assert max(sent_in) >= 30 and len(sent_in) > 24

    # The whole form as slow as it takes for the last ones to be left for the second day.
    seconds, size = (30 * 3600 / PEOPLE, 25) if WHOLE else (40, 10)
    live(scenario, start=start, seconds=seconds, window_size=size)
