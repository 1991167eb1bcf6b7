"""The rules for a webhook's own headers.

Mental model: a subscriber may add what its receiver asks for (`Authorization`, `X-Team`), but nothing that
frames the message, names the connection, or could be taken for what we say ourselves.
Source: RFC 9110, sections 5.1 and 5.5 (names are tokens, values visible ASCII with blanks within).
"""

import re
from collections.abc import Iterable

MASK = "********"
"""What is shown of every value. Sent back by PUT it means: as it is."""
MAX_HEADERS = 20
MAX_NAME_LENGTH = 100
MAX_VALUE_LENGTH = 1_000
TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105 - of the grammar
VALUE = r"^[!-~]([ -~]*[!-~])?$"
_RESERVED = frozenset(
    (
        "accept", "accept-encoding", "connection", "cookie", "date", "expect", "forwarded", "host",
        "http2-settings", "keep-alive", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade",
        "user-agent", "via", "x-real-ip",
    )
)  # fmt: skip
_RESERVED_FAMILIES = ("content-", "webhook-", "proxy-", "x-forwarded-")


def broken_name_rule(name: str) -> str | None:
    """The first rule that a header's name breaks, as a sentence part, or None."""
    lower = name.lower()
    if lower in _RESERVED or lower.startswith(_RESERVED_FAMILIES):
        return "is reserved and cannot be set"
    if len(name) > MAX_NAME_LENGTH:
        return f"must have a name of at most {MAX_NAME_LENGTH} characters"
    return None if re.fullmatch(TOKEN, name) else "must have a name that is a token of RFC 9110"


def broken_value_rule(value: str) -> str | None:
    """The first rule that a header's value breaks, or None."""
    if len(value) > MAX_VALUE_LENGTH:
        return f"must have at most {MAX_VALUE_LENGTH} characters"
    if not re.fullmatch(VALUE, value):
        return "must be visible ASCII, with blanks only between other characters"
    return None


def named_twice(names: Iterable[str]) -> str | None:
    """A name that differs from another one only in its capitals, or None."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
