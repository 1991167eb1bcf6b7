"""The subscriber's own headers in bodies: each that breaks a rule is named, and values are masked."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from webhook_service.domain.headers import (
    MAX_HEADERS,
    MAX_NAME_LENGTH,
    MAX_VALUE_LENGTH,
    TOKEN,
    VALUE,
    broken_name_rule,
    broken_value_rule,
    named_twice,
)


def _checked(value: Any) -> Any:
    """`value`, if it is an object of names and values that all may be sent. Raises ValidationError."""
    if not isinstance(value, dict):
        return value  # its type is refused afterwards
    if len(value) > MAX_HEADERS:
        raise ValueError(f"must be {MAX_HEADERS} headers at most")
    broken = {name: rule for name, item in value.items() if (rule := _broken_rule(name, item)) is not None}
    twice = named_twice(value)
    if twice is not None:
        broken[twice] = "is there twice: capitals make no difference"
    if broken:
        raise ValidationError.from_exception_data(
            "headers",
            [
                InitErrorDetails(
                    type=PydanticCustomError("header", "{rule}", {"rule": rule}), loc=(name,), input=None
                )
                for name, rule in broken.items()
            ],
        )
    return value


def _broken_rule(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return broken_name_rule(name)
    return broken_name_rule(name) or broken_value_rule(value)


_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "maxProperties": MAX_HEADERS,
    "propertyNames": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH, "pattern": TOKEN},
    "additionalProperties": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_VALUE_LENGTH,
        "pattern": VALUE,
    },
}
HeadersIn = Annotated[
    dict[str, str],
    BeforeValidator(_checked),
    WithJsonSchema(_SCHEMA),
    Field(
        description="Sent with every request, beside ours. Not those that frame or sign a message (`Host`, "
        "`Content-*`, `Webhook-*`, `User-Agent`, `Cookie`, …). Values are kept encrypted and shown masked."
    ),
]
