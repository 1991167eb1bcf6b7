"""A segment's filters in a body: their form; what each means `domain.audience` knows."""

import sys
from typing import Annotated

from pydantic import Field, StringConstraints
from service_kit.api.envelope import RequestModel
from service_kit.api.types import Text

from execution_service.domain.contact_fields import INT64

MAX_FILTERS = 54
MAX_FLOAT = sys.float_info.max
MAX_VALUES = 300
Bound = (
    Annotated[int, Field(strict=True, ge=-INT64, lt=INT64)]
    | Annotated[float, Field(strict=True, ge=-MAX_FLOAT, le=MAX_FLOAT)]
    | Annotated[Text, StringConstraints(max_length=1000)]
)
Value = Annotated[bool, Field(strict=True)] | Bound


class Range(RequestModel):
    """From `min` to `max`, both included; two numbers or two texts, or one of the two."""

    min: Bound | None = None
    max: Bound | None = None


Filter = Value | Annotated[list[Value], Field(min_length=1, max_length=MAX_VALUES)] | Range
Key = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Filters = Annotated[
    dict[Key, Filter],
    Field(
        min_length=1,
        max_length=MAX_FILTERS,
        description="All of these must hold: `location`, `interests` any of a list, `ageRange` [from, to], "
        "`purchaseHistory` equals. Any other key is an attribute: a scalar equals, a list is any of, "
        "`{min, max}` a range.",
        examples=[{"location": ["US", "CA"], "ageRange": [18, 35], "tier": "gold"}],
    ),
]


def plain(filters: dict[str, Filter]) -> dict[str, object]:
    """The filters as JSON values."""
    return {
        key: value.model_dump(exclude_none=True) if isinstance(value, Range) else value
        for key, value in filters.items()
    }
