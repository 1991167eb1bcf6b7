"""When something is due that is done once a day."""

from datetime import datetime, time, timedelta


def next_after(last: datetime, at: time) -> datetime:
    """The first moment after `last` (UTC) whose time of day is `at`."""
    today = last.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > last else today + timedelta(days=1)
