"""Numbers, times and texts as this API takes and shows them.

JSON types are taken literally: `"5"` and `true` are no numbers.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, StringConstraints
from service_kit.api.types import Text

_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}")


def _iso_text(value: Any) -> Any:
    """Pydantic would also take numbers and dates; the contract has ISO 8601 times only."""
    if not isinstance(value, str) or not _ISO_TIME.match(value):
        raise ValueError("must be an ISO 8601 time such as 2024-06-01T00:00:00Z")
    return value


def _utc(value: datetime) -> datetime:
    try:
        utc = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time between 1970 and 2999") from error
    if not 1970 <= utc.year <= 2999:  # beyond that, sums of times leave what computers can count
        raise ValueError("must be a time between 1970 and 2999")
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _short(value: float) -> int | float:
    """5000 rather than 5000.0, as the contract shows numbers."""
    return int(value) if float(value).is_integer() else value


Moment = Annotated[AwareDatetime, BeforeValidator(_iso_text), AfterValidator(_utc)]
"""A time with an offset, kept in UTC to the millisecond."""
Amount = Annotated[float, Field(strict=True, ge=0, le=1e15)]
"""A non-negative number, such as money."""
Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Number = Annotated[float, PlainSerializer(_short, when_used="json")]
"""A number in an answer."""
Flag = Annotated[bool, Field(strict=True)]
Content = Annotated[Text, StringConstraints(min_length=1, max_length=4096), AfterValidator(_not_blank)]
"""The text of a message: what Telegram takes, 1-4,096 characters, not only blanks."""
