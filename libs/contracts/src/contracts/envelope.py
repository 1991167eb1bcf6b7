"""The envelope of every event: CloudEvents 1.0, structured JSON.

An event is `Envelope(data=<EventData>)`. The wire form is one JSON object (camelCase in `data`),
the Kafka key is `subject` (the campaign id). Readers ignore fields they do not know; a type or a
body they cannot read raises `MalformedEvent` or `UnknownEventType`, never anything else.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from contracts.ids import new_ulid
from contracts.topics import Topic


def format_time(value: datetime) -> str:
    """ISO 8601 in UTC with `Z`, milliseconds only when there are any."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    # Twice as fast as strftime, and there are many times in an answer.
    precision = "milliseconds" if value.microsecond >= 1000 else "seconds"
    return value.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def _aware(value: Any) -> Any:
    """Times read from MongoDB come without a zone; they are UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


UtcTime = Annotated[
    datetime, BeforeValidator(_aware), PlainSerializer(format_time, return_type=str, when_used="json")
]
"""A time that is UTC inside and `2024-06-01T00:00:00Z` in JSON."""


class ContractError(Exception):
    """An event that this reader cannot read."""


class MalformedEvent(ContractError):
    """The bytes are not a CloudEvent with the data its type requires."""


class UnknownEventType(ContractError):
    """The event's type is not in the catalogue of this version."""


class Model(BaseModel):
    """Base of everything inside `data`: camelCase on the wire, unknown fields ignored, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, ser_json_inf_nan="null"
    )


class EventData(Model):
    """The payload of one event type. Subclasses name their type, version and topic."""

    event_type: ClassVar[str]
    version: ClassVar[int] = 1
    topic: ClassVar[Topic]


DataT = TypeVar("DataT", bound=EventData)


class Envelope(BaseModel, Generic[DataT]):
    """One event. `sequence` is the campaign's version, where the event has one."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: UtcTime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    orgid: str
    sequence: int | None = None
    traceparent: str | None = None
    data: DataT


AnyEvent = Envelope[Any]


def new_event(
    data: DataT,
    *,
    source: str,
    subject: str,
    org: str,
    time: datetime,
    sequence: int | None = None,
    event_id: str | None = None,
    traceparent: str | None = None,
) -> Envelope[DataT]:
    """Wrap `data`. Give `event_id` where a retry can produce the event again, so that it stays one event."""
    return Envelope[DataT].model_construct(
        specversion="1.0",
        id=event_id or f"evt_{new_ulid()}",
        source=source,
        type=data.event_type,
        subject=subject,
        time=time,
        datacontenttype="application/json",
        dataschema=f"urn:campaigns:{data.event_type}:v{data.version}",
        orgid=org,
        sequence=sequence,
        traceparent=traceparent,
        data=data,
    )


def encode(event: AnyEvent) -> bytes:
    """The wire form of `event`."""
    head = event.model_dump(mode="json", exclude={"data"}, exclude_none=True)
    return _join(head, event.data.model_dump_json(by_alias=True))


def _join(head: dict[str, Any], data: str) -> bytes:
    return (json.dumps(head, separators=(",", ":"))[:-1] + ',"data":' + data + "}").encode()


def decode_as(model: type[DataT], raw: bytes) -> Envelope[DataT]:
    """Read `raw` as an event whose data is `model`. Raises MalformedEvent."""
    try:
        return Envelope[model].model_validate_json(raw)  # type: ignore[valid-type]  # a class made at run time
    except ValidationError as error:
        raise MalformedEvent(_reason(error)) from error


def _reason(error: ValidationError) -> str:
    """Where and why, without the values: they may be personal."""
    parts = (f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors()[:5])
    return "; ".join(parts)
