"""Whom a campaign addresses, as its body says it."""

import json
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator
from service_kit.api.envelope import RequestModel
from service_kit.api.types import ClientId, ReadOnly, Text

from campaign_service.domain.definition import TargetAudience
from campaign_service.entrypoints.api.values import Flag

Country = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="ISO 3166-1 alpha-2, in capitals")
]
Interest = Annotated[Text, StringConstraints(min_length=1, max_length=100)]
Age = Annotated[int, Field(strict=True, ge=0, le=150)]
Bound = Annotated[float, Field(strict=True, ge=-1e15, le=1e15)]
ScalarText = Annotated[Text, StringConstraints(max_length=1000)]
Scalar = Annotated[bool, Field(strict=True)] | Bound | ScalarText
ATTRIBUTE = r"^[^\W\d][\w-]{0,63}$"
MAX_KEYS = 50


class RangeIn(RequestModel):
    """Numbers from `min` to `max`, both included; at least one of them."""

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> "RangeIn":
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


AttributeName = Annotated[str, StringConstraints(pattern=ATTRIBUTE)]
AttributeFilter = Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=100)] | RangeIn


class FiltersIn(RequestModel):
    """All of these must match. Any other key addresses the contact's attribute of that name: a scalar
    equals, a list is any of, `{min, max}` is a range."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"maxProperties": MAX_KEYS + 4})
    __pydantic_extra__: dict[AttributeName, AttributeFilter | None]

    location: list[Country] | None = Field(default=None, min_length=1, max_length=300)
    age_range: list[Age] | None = Field(default=None, min_length=2, max_length=2)
    interests: list[Interest] | None = Field(default=None, min_length=1, max_length=100)
    purchase_history: Flag | None = None

    @field_validator("age_range")
    @classmethod
    def _from_the_younger(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and value[0] > value[1]:
            raise ValueError("must be [from, to] with from not greater than to")
        return value

    @model_validator(mode="after")
    def _not_too_many(self) -> "FiltersIn":
        if len(self.__pydantic_extra__ or {}) > MAX_KEYS:
            raise ValueError(f"must not have more than {MAX_KEYS} attributes")
        return self

    def to_domain(self) -> dict[str, Any] | None:
        """As given, in its JSON form; None when nothing is asked for."""
        filters = json.loads(self.model_dump_json(by_alias=True, exclude_none=True))
        return {key: _short(value) for key, value in filters.items()} or None


def _short(value: Any) -> Any:
    """5 rather than 5.0, inside lists and ranges too, as it was given."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_short(item) for item in value]
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return value


class TargetAudienceIn(RequestModel):
    """Who is addressed: the union of the segments, without the excluded ones, where the filters match."""

    segments: list[ClientId] = Field(default_factory=list, max_length=100)
    filters: FiltersIn | None = None
    exclude_segments: list[ClientId] = Field(default_factory=list, max_length=100)
    total_count: ReadOnly = None

    def to_domain(self) -> TargetAudience:
        """Naming a segment twice addresses nobody twice."""
        return TargetAudience(
            segments=tuple(dict.fromkeys(self.segments)),
            filters=None if self.filters is None else self.filters.to_domain(),
            exclude_segments=tuple(dict.fromkeys(self.exclude_segments)),
        )
