"""Identifiers: a prefix that says what it names, then a ULID, so that ids sort by creation.

`new_id` is monotonic within a process: two ids made in the same millisecond still sort in the
order in which they were made, which the outbox relies on for events of one transaction.
"""

import threading
from datetime import UTC, datetime

from ulid import ULID

_lock = threading.Lock()
_last = 0


def new_ulid() -> str:
    """A 26-character ULID, greater than every one this process made before."""
    global _last  # noqa: PLW0603 - the one piece of state that makes ids monotonic
    with _lock:
        _last = max(int(ULID()), _last + 1)
        return str(ULID.from_int(_last))


def new_id(prefix: str) -> str:
    """`camp_01J…`: `prefix`, an underscore and a new ULID."""
    return f"{prefix}_{new_ulid()}"


def lowest_id(prefix: str, timestamp: float) -> str:
    """Not above any id of ours made from `timestamp` (Unix seconds) on; times out of range are cut."""
    milliseconds = min(max(int(timestamp * 1000), 0), 2**48 - 1)
    return f"{prefix}_{ULID.from_int(milliseconds << 80)}"


def created_at(identifier: str) -> datetime | None:
    """When an id of ours was made (UTC), or None when it is not one of ours."""
    try:
        return ULID.from_str(identifier.rpartition("_")[2]).datetime.astimezone(UTC)
    except ValueError:
        return None
