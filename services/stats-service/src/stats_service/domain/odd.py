"""Facts that nobody can believe."""

from typing import Final

from stats_service.domain.facts import Clicked, Converted, Fact, WindowRecorded

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS


def is_of_the_future(fact: Fact, told_ms: int) -> bool:
    """Whether it happens more than a day after it was told of: a clock is wrong somewhere.

    Not after now: whoever reads it again later, to count anew or to compare, is to judge it alike.
    """
    latest = told_ms + DAY_MS
    if isinstance(fact, WindowRecorded):
        return any(row.minute * MINUTE_MS > latest for row in fact.rows)
    return isinstance(fact, (Clicked, Converted)) and fact.at > latest
