"""What an answer of the statistics is asked for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from service_kit.errors import Detail

from stats_service.domain.dimensions import Metric
from stats_service.domain.errors import InvalidParameter
from stats_service.domain.periods import DAYS, Period, zone_names

EVERYTHING: Final = "all"
ZONE_RULE: Final = "must be an IANA time zone such as Europe/Berlin"


class Part(StrEnum):
    """The parts of an answer; `measurement` is in every one."""

    OVERVIEW = "overview"
    PERFORMANCE = "performance"
    TIMELINE = "timeline"
    SEGMENTS = "segments"
    VARIATIONS = "variations"
    ERRORS = "errors"
    COST = "cost"


COUNTED: Final = {
    "messagesSent": Metric.SENT,
    "delivered": Metric.DELIVERED,
    "read": Metric.READ,
    "clicked": Metric.CLICKED,
    "converted": Metric.CONVERTED,
    "failed": Metric.FAILED,
    "skipped": Metric.SKIPPED,
    "unknown": Metric.UNKNOWN,
    "clickedTotal": Metric.CLICKED_TOTAL,
    "convertedTotal": Metric.CONVERTED_TOTAL,
}
"""The overview's whole numbers, and the metric behind each."""
OVERVIEW: Final = (*COUNTED, "revenue", "revenueByCurrency")
"""All fields of the overview."""


@dataclass(frozen=True, slots=True)
class Question:
    """A period in a time zone, and what of it: parts, and fields of the overview.

    The overview is a part when any field of it is asked for.
    """

    period: Period
    timezone: str
    parts: frozenset[Part]
    fields: frozenset[str]

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)


def question(period: Period, metrics: str, timezone: str) -> Question:
    """The question in the words of the API. Raises InvalidParameter.

    Periods without local days are the same in every zone.
    """
    if timezone not in zone_names():
        raise invalid("timezone", ZONE_RULE)
    local = period in DAYS or period is Period.ALL
    parts, fields = _metrics(metrics)
    return Question(period, timezone if local else "UTC", parts, fields)


def _metrics(metrics: str) -> tuple[frozenset[Part], frozenset[str]]:
    names = set(metrics.split(","))
    if unknown := sorted(names - {EVERYTHING, *Part, *OVERVIEW}):
        allowed = ", ".join([EVERYTHING, *Part, *OVERVIEW])
        raise invalid("metrics", f"{unknown[0][:40]!r} is none of {allowed}")
    if EVERYTHING in names:
        return frozenset(Part), frozenset(OVERVIEW)
    parts = {Part(name) for name in names & set(Part)}
    fields = set(OVERVIEW) if Part.OVERVIEW in parts else names & set(OVERVIEW)
    return frozenset(parts | ({Part.OVERVIEW} if fields else set())), frozenset(fields)


def invalid(parameter: str, rule: str) -> InvalidParameter:
    """The error that names the parameter and the rule that it breaks."""
    return InvalidParameter(f"{parameter}: {rule}", details=[Detail(parameter, rule)])
