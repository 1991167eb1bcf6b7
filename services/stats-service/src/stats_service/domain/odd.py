"""Facts that nobody can believe."""

from typing import Final

from stats_service.domain.facts import Clicked, Converted, Fact, WindowRecorded

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS


def is_of_the_future(fact: Fact, now_ms: int) -> bool:
    """Whether it says that it happens more than a day after `now_ms`: a clock is wrong somewhere."""
    latest = now_ms + DAY_MS
    if isinstance(fact, WindowRecorded):
        return any(row.minute * MINUTE_MS > latest for row in fact.rows)
    return isinstance(fact, (Clicked, Converted)) and fact.at > latest
