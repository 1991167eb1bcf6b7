"""Quiet hours: when a contact may be sent to, and how long that stays so. Nothing but arithmetic with clocks.

It is quiet at an instant when the clock on the contact's wall shows, at that instant, a time from the
beginning of the quiet hours on and before their end. Nothing else counts, so the nights in which clocks are
put forward or back need no rule of their own: a time that is left out is never shown (who waits for 02:30
goes on when the clock jumps from 02:00 to 03:00), one that is shown twice is quiet both times.
Between two moments of `_moments` no wall shows a beginning or an end, so the answer stays the same there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from contracts.events.campaign import ExecutionSnapshot

from execution_service.domain.org_settings import OrgSettings, QuietHours

AHEAD = timedelta(days=3)
"""How far is looked: an hour that is left out in spring may be the only one of a day that is not quiet."""
_STRIDE = 6 * 3600
"""Seconds within which clocks are put forward or back at most once."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether a contact may be sent to now. That stays so until `until` (UTC), when it is looked at again."""

    open: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Hours:
    """What holds for an execution at the moment: `quiet` (None: nothing) on the clock of each contact's own
    time zone (`own_zones`; the organisation's for those without one) or of the organisation's.

    `edition` grows whenever the settings or the execution's life have changed, so what was decided by a
    smaller one must be decided anew.
    """

    quiet: QuietHours | None
    timezone: str
    own_zones: bool
    edition: int

    def zone(self, timezone: str | None) -> tzinfo:
        """Whose clock counts for a contact with this time zone. One that nobody knows is none."""
        own = _zone(timezone) if timezone is not None and self.own_zones else None
        return own or _zone(self.timezone) or UTC

    def offset(self, timezone: str | None, now: datetime) -> int:
        """How many seconds east of UTC the clock is that counts for a contact with this time zone."""
        return round((now.astimezone(self.zone(timezone)).utcoffset() or timedelta()).total_seconds())


def hours_of(snapshot: ExecutionSnapshot, life: int, settings: OrgSettings) -> Hours:
    """The campaign's own quiet hours and mode, as frozen, or else the organisation's as they are now.

    Tests have none: who asks for one waits for it.
    """
    mode = snapshot.timezone_mode or settings.timezone_mode
    quiet = None if snapshot.options.test_mode else _given(snapshot) or settings.quiet_hours
    if quiet is not None and quiet.from_ == quiet.to:
        quiet = None
    return Hours(quiet, settings.timezone, mode == "recipient", edition_of(life, settings))


def edition_of(life: int, settings: OrgSettings) -> int:
    """Of the rules for this life of an execution under these settings."""
    return life << 32 | settings.version


def _given(snapshot: ExecutionSnapshot) -> QuietHours | None:
    given = snapshot.quiet_hours
    if given is None:
        return None
    return QuietHours(time.fromisoformat(given.from_), time.fromisoformat(given.to))


class Outlooks:
    """The outlook of contacts at `now`; each time zone is looked at once."""

    def __init__(self, hours: Hours, now: datetime) -> None:
        self._hours = hours
        self._now = now
        self._known: dict[str | None, Outlook] = {}

    def of(self, timezone: str | None) -> Outlook:
        """For a contact with this time zone."""
        known = self._known.get(timezone)
        if known is None:
            known = self._known[timezone] = self._look(timezone)
        return known

    def _look(self, timezone: str | None) -> Outlook:
        if self._hours.quiet is None:
            return Outlook(True, self._now + AHEAD)
        return outlook(self._hours.quiet, self._hours.zone(timezone), self._now)


def outlook(quiet: QuietHours, zone: tzinfo, now: datetime) -> Outlook:
    """How it stands on a wall in `zone`; `now` is UTC."""
    is_open = not is_quiet(quiet, now.astimezone(zone).time())
    for at in _moments(quiet, zone, now):
        if is_quiet(quiet, at.astimezone(zone).time()) == is_open:
            return Outlook(is_open, at)
    return Outlook(is_open, now + AHEAD)


def is_quiet(quiet: QuietHours, shown: time) -> bool:
    """Whether a wall clock that shows this time forbids it."""
    if quiet.from_ <= quiet.to:
        return quiet.from_ <= shown < quiet.to
    return shown >= quiet.from_ or shown < quiet.to


def _moments(quiet: QuietHours, zone: tzinfo, now: datetime) -> list[datetime]:
    """When it may become quiet or end being so after `now`, ascending."""
    found = {*_shifts(zone, now)}
    first = now.astimezone(zone).date() - _DAY
    for day in range((AHEAD + 3 * _DAY).days):
        for edge in (quiet.from_, quiet.to):
            shown = datetime.combine(first + day * _DAY, edge, zone)
            # A time that is shown twice has two instants. One that is left out has none, but then also these
            # two, wherever they lie, change nothing: the shift itself is looked at.
            found |= {shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(at for at in found if now < at <= now + AHEAD)


def _shifts(zone: tzinfo, now: datetime) -> Iterator[datetime]:
    """When the clocks of `zone` are put forward or back; that happens at whole seconds."""
    begin = int(now.timestamp())
    for start in range(begin, begin + int(AHEAD.total_seconds()), _STRIDE):
        low, high = start, start + _STRIDE
        if _offset(zone, low) == _offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == _offset(zone, start) else (low, middle)
        yield datetime.fromtimestamp(high, UTC)


def _offset(zone: tzinfo, seconds: int) -> timedelta | None:
    return datetime.fromtimestamp(seconds, zone).utcoffset()


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo | None:
    """The time zone of this name; None when this machine does not know it (any more)."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
