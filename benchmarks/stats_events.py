"""Windows as workers record them, with sums that are known beforehand; the same for the same names.

A window of some hundred contacts has the rows that a real one has: two variations, three segments (all are
in the first, half in the second, a fifth in the third), nine of ten successful. Contacts are new each time.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from random import Random

from contracts.envelope import Envelope, new_event
from contracts.events.campaign import AudienceDefinition, CampaignCreated
from contracts.events.delivery import DeliveryRecorded, DeliveryStatus, TallyRow
from contracts.ids import new_id

ORG = "bench"
SEGMENTS = [f"seg_{number:022}" for number in range(3)]
SHARD = 2_000
"""Contacts in a shard, so windows in it are SHARD / outcomes."""
PATTERNS = 16
"""Different windows; after so many they are alike."""
_Kind = tuple[str, DeliveryStatus, str | None, tuple[int, ...]]
_KINDS: tuple[tuple[int, DeliveryStatus, str | None], ...] = (
    (90, "successful", None),
    (96, "failed", "USER_BLOCKED"),
    (98, "failed", "CHAT_NOT_FOUND"),
    (99, "skipped", "OPTED_OUT"),
    (100, "unknown", "DELIVERY_UNKNOWN"),
)


@cache
def pattern(outcomes: int, number: int) -> Sequence[tuple[_Kind, int]]:
    """How many contacts of a window had what: rows without their contacts."""
    dice = Random(f"{outcomes}.{number}")  # noqa: S311 - repeatable, not secret
    counts: dict[_Kind, int] = {}
    for _ in range(outcomes):
        draw = dice.randrange(100)
        status, code = next((status, code) for below, status, code in _KINDS if draw < below)
        segments = (0, *(place for place, one_in in ((1, 2), (2, 5)) if dice.randrange(one_in) == 0))
        kind = dice.choice(("var_a", "var_b")), status, code, segments
        counts[kind] = counts.get(kind, 0) + 1
    return tuple(counts.items())


def created(campaign: str) -> Envelope[CampaignCreated]:
    """The event that makes the campaign known."""
    data = CampaignCreated(
        campaign_id=campaign, name="Bench", type="message", status="draft", budget=10_000,
        audience=AudienceDefinition(segments=SEGMENTS),
    )  # fmt: skip
    now = datetime.now(UTC)
    return new_event(data, source="bench", subject=campaign, org=ORG, time=now, sequence=1)


@dataclass
class Windows:
    """The windows of one execution of a campaign, one after the other, each of so many `outcomes`."""

    outcomes: int
    campaign: str = field(default_factory=lambda: new_id("camp"))
    execution: str = field(default_factory=lambda: new_id("exec"))
    told: int = 0
    """Windows made so far."""
    sent: int = 0
    """What `overview.messagesSent` must be once all of them are counted."""

    def next(self, *, minute: int | None = None) -> Envelope[DeliveryRecorded]:
        """The next window, in this minute or in the present one."""
        number, self.told = self.told, self.told + 1
        shard, window = divmod(number, max(1, SHARD // self.outcomes))
        at, first = datetime.now(UTC), number * self.outcomes
        rows = []
        for (variation, status, code, segments), count in pattern(self.outcomes, number % PATTERNS):
            reached = [f"con_{contact:022}" for contact in range(first, first + count)]
            first += count
            self.sent += count if status in ("successful", "failed") else 0
            rows.append(
                TallyRow(
                    minute=int(time.time()) // 60 if minute is None else minute, message_id="msg_1",
                    variation_id=variation, status=status, error_code=code, count=count,
                    segments=list(segments), contact_ids=reached if status == "successful" else [],
                )
            )  # fmt: skip
        data = DeliveryRecorded(
            campaign_id=self.campaign, execution_id=self.execution, shard=shard, window=window, step=0,
            shard_completed=False, segment_ids=SEGMENTS, tally=rows, recorded_at=at,
        )  # fmt: skip
        name = f"{self.execution}:{shard}:{window}"
        return new_event(data, source="bench", subject=self.campaign, org=ORG, time=at, event_id=name)


def in_turns(windows: Sequence[Windows], events: int) -> Iterator[Envelope[DeliveryRecorded]]:
    """So many events, each of the next campaign."""
    for number in range(events):
        yield windows[number % len(windows)].next()
