"""How long messages take at a rate, when some of their contacts must be waited for.

While anybody may be sent to, the whole rate is used, shared among those who may by what is left for them;
while nobody may, it stands still. What changes that is only somebody's hours that begin or end.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from execution_service.domain.quiet_hours import Hours, Outlook, Outlooks

LOOKS = 2_000
"""So often a time zone's clock is looked at; what is left then goes at the mean pace so far."""


def seconds_to_send(
    messages: Mapping[str | None, float], *, per_second: float, hours: Hours, begin: datetime
) -> float:
    """From `begin` (UTC) to the last of the `messages`, given by their contacts' time zones.

    `per_second` is more than 0.
    """
    left = _by_clock(messages, hours)
    total = sum(left.values())
    if hours.quiet is None:
        return total / per_second
    now, looks = begin, 0
    known: dict[str | None, Outlook] = {}
    while left and looks < LOOKS:
        stale = [zone for zone in left if zone not in known or known[zone].until <= now]
        outlooks, looks = Outlooks(hours, now), looks + len(stale)
        known |= {zone: outlooks.of(zone) for zone in stale}
        until = min(known[zone].until for zone in left)
        sending = sum(count for zone, count in left.items() if known[zone].open)
        can = (until - now).total_seconds() * per_second
        done = min(1.0, can / sending) if sending else 0.0
        left = {zone: count * (1 - done * known[zone].open) for zone, count in left.items()}
        left = {zone: count for zone, count in left.items() if count}
        now = until if sending >= can or not sending else now + timedelta(seconds=sending / per_second)
    passed, rest = (now - begin).total_seconds(), sum(left.values())
    return passed * total / (total - rest) if 0 < rest < total else passed


def _by_clock(messages: Mapping[str | None, float], hours: Hours) -> dict[str | None, float]:
    """The messages by the time zones that count: everybody's is the organisation's when that says so."""
    left: dict[str | None, float] = {}
    for zone, count in messages.items():
        clock = zone if hours.own_zones else None
        if count > 0:
            left[clock] = left.get(clock, 0.0) + count
    return left
