"""The outcomes of one window of sends, already tallied by the worker that made them.

One event stands for a whole window (up to some hundred contacts), and it is tallied per minute,
message, variation, result, error and segments, so that folding costs rows and not contacts. The event's id is
`<execution>:<shard>:<window>`: recorded once, however often it is published. The window of a retry carries
the difference: the new outcomes, and the former ones of the same contacts with a negative count.
The pydantic models are the contract (schemas, tests); `decode_fast` reads the same bytes with
msgspec, which the aggregator uses (0.3 µs against 1.2 µs for a small event).
"""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from contracts.envelope import EventData, MalformedEvent, Model, UtcTime
from contracts.topics import DELIVERY_EVENTS, Topic

DeliveryStatus = Literal["successful", "failed", "skipped", "unknown"]


class TallyRow(Model):
    """`count` contacts had this result for this message in this minute (UTC, minutes since the epoch).

    A negative `count` takes back what an earlier run of the campaign told: so many contacts were retried, and
    what became of them now stands in other rows of the same event. Adding up all rows gives what holds.
    `segments` are places in the event's `segment_ids`: those of the campaign's segments that these contacts
    were in. `contact_ids` are the contacts themselves where the message arrived, and nowhere else: who reads
    of their clicks later knows which message, variation and segments to count them for.
    """

    minute: int
    message_id: str
    variation_id: str | None = None
    status: DeliveryStatus
    error_code: str | None = None
    count: int
    segments: list[int] = Field(default_factory=list)
    contact_ids: list[str] = Field(default_factory=list)


class DeliveryRecorded(EventData):
    """One window's outcomes. `shard_completed` says that it was the last one of its shard."""

    event_type = "delivery.recorded"
    topic: ClassVar[Topic] = DELIVERY_EVENTS

    campaign_id: str
    execution_id: str
    test_mode: bool = False
    shard: int = Field(ge=0)
    window: int = Field(ge=0)
    step: int = Field(ge=0)
    shard_completed: bool
    segment_ids: list[str] = Field(default_factory=list)
    tally: list[TallyRow]
    recorded_at: UtcTime


class FastTallyRow(msgspec.Struct, rename="camel", gc=False):
    """TallyRow, for the hot path."""

    minute: int
    message_id: str
    status: str
    count: int
    variation_id: str | None = None
    error_code: str | None = None
    segments: list[int] = []
    contact_ids: list[str] = []


class FastDeliveryData(msgspec.Struct, rename="camel"):
    """DeliveryRecorded, for the hot path: what the fold needs."""

    campaign_id: str
    execution_id: str
    shard: int
    window: int
    step: int
    shard_completed: bool
    tally: list[FastTallyRow]
    recorded_at: datetime
    test_mode: bool = False
    segment_ids: list[str] = []


class FastDelivery(msgspec.Struct):
    """The envelope of a delivery event, for the hot path."""

    id: str
    orgid: str
    data: FastDeliveryData


_decoder = msgspec.json.Decoder(FastDelivery)


def decode_fast(raw: bytes) -> FastDelivery:
    """Read a `delivery.recorded` event. Raises MalformedEvent."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"delivery.recorded: {error}") from error
