"""Who tells a history: names, moments, and that some of it comes late or again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from contracts.envelope import EventData, encode, new_event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Message(NamedTuple):
    """A message for Kafka. What does not `count` is to be parked."""

    topic: str
    key: str
    body: bytes
    counts: bool = True


@dataclass
class Teller:
    """Tells of one campaign. Moments are from 0 to about 2: all that is said is published in their order.

    A campaign with an even number is so old that a conversion can be out of every attribution window; the
    others began a day and a half before `hour`, so that their minutes are still kept.
    """

    number: int
    random: Random
    hour: datetime
    run: str = ""
    said: list[tuple[float, Message]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = self.new_id("camp") + self.run
        self.old = self.number % 2 == 0
        self.start = self.hour - (timedelta(days=25) if self.old else timedelta(hours=36))

    def new_id(self, kind: str) -> str:
        """An id that the seed decides."""
        return f"{kind}_{self.random.randrange(16**16):016x}"

    def say(
        self,
        moment: float,
        data: EventData,
        *,
        event_id: str | None = None,
        sequence: int | None = None,
        counts: bool = True,
    ) -> None:
        """Publish `data` at `moment`, perhaps late, perhaps several times."""
        event = new_event(
            data, source="chaos", subject=self.id, org="acme", time=self.hour, sequence=sequence,
            event_id=event_id or self.new_id("evt"),
        )  # fmt: skip
        message = Message(data.topic.name, self.id, encode(event), counts)
        if self.random.random() < 0.04:
            moment += self.random.random()
        self.said.append((moment, message))
        while counts and self.random.random() < 0.06:
            self.said.append((moment + self.random.random(), message))

    def after(self, base: datetime, *, days: int) -> datetime:
        """A moment in the `days` after `base`; in a few hours after it where the campaign is not that old."""
        most = days * 86_400_000 if self.old else 6 * 3_600_000
        return base + timedelta(milliseconds=int(most * self.random.random() ** 2))
