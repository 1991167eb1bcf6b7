"""Text and times as the API takes them: Unicode in NFC, no control characters but newline and tab."""

import re
from datetime import UTC, datetime, time
from typing import Annotated, Any

from fastapi import Path
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from service_kit.text import clean_text


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


# For the document: what `clean_text` refuses, as far as a pattern can say it.
_CLEAN = Field(json_schema_extra={"pattern": r"^[^\u0000-\u0008\u000B-\u001F\u007F-\u009F]*$"})

Text = Annotated[str, AfterValidator(clean_text), _CLEAN]
"""Any clean text."""
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(clean_text),
    AfterValidator(_not_blank),
    _CLEAN,
]
"""1-200 characters, not only blanks."""
Description = Annotated[str, StringConstraints(max_length=5000), AfterValidator(clean_text), _CLEAN]
"""At most 5,000 characters."""
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


Moment = Annotated[AwareDatetime, BeforeValidator(_iso_text), AfterValidator(_utc)]
"""A time with an offset, kept in UTC to the millisecond."""
_TIME_OF_DAY = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])")


def _time_of_day(value: Any) -> time:
    if isinstance(value, time):
        return value
    found = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time such as 22:30")
    return time(int(found[1]), int(found[2]))


ClientId = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~@-]*$")
]
"""An id that a client may choose: it stands in URLs as it is."""
TimeOfDay = Annotated[
    time,
    PlainValidator(_time_of_day),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME_OF_DAY.pattern}$", "examples": ["22:30"]}),
]
"""`HH:MM`, from 00:00 to 23:59, on a clock on the wall."""
PathId = Annotated[str, Path(min_length=1, max_length=128, description="The id, as it was given or chosen.")]
"""An id in a path; a longer one is nobody's, so 404."""
ReadOnly = Annotated[
    Any, Field(description="Shown by GET; accepted and ignored.", json_schema_extra={"readOnly": True})
]
"""A field of a body that nobody may set: what GET shows can be sent back."""
