"""Tell what an execution would come to if it began at a given time: a dry run.

Each contact is decided by the very functions that decide when it is sent to, so of audiences of up to
CONTACTS contacts the numbers are those that an execution then has. Of larger ones who is suppressed is
counted, and the rest is told by about SAMPLE members who stand for all. Either takes about a second.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.events.campaign import ExecutionSnapshot

from execution_service.application.draw_members import Choice, DrawMembers, Drawn
from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.named_bots import named_bots
from execution_service.application.ports import Bots
from execution_service.application.ports_audience import SegmentFilters
from execution_service.application.ports_counting import RecentSends
from execution_service.application.ports_sending import Audience
from execution_service.application.ports_settings import StoredSettings
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import Tally
from execution_service.domain.duration import seconds_to_send
from execution_service.domain.forecast import Course, Foretold, course, foretell
from execution_service.domain.org_settings import OrgSettings, affordable, cost_of
from execution_service.domain.quiet_hours import hours_of
from execution_service.domain.recent_sends import block_of
from execution_service.domain.rendering import compile_message
from execution_service.domain.suppression import SUPPRESSIONS

CONTACTS = 20_000
DECISIONS = 40_000
"""So many contacts are looked at one by one, or fewer when they get more than two messages each."""
SAMPLE = 10_000
_DECISIONS_AT_ONCE = 1_000
"""In some 15 ms: other requests go on in between."""


@dataclass(frozen=True, slots=True)
class ForecastQuery:
    """An execution as it would start, at `begin` (UTC)."""

    org: str
    snapshot: ExecutionSnapshot
    begin: datetime


@dataclass(frozen=True, slots=True)
class Forecast:
    """`total_count` is the whole audience.

    `suppressed`: how many of those meant would not get all messages, by the code that says why. `messages`
    would be sent; they cost `cost` and take `seconds` (None: there is no bot).
    """

    total_count: int
    suppressed: Mapping[str, int]
    messages: int
    cost: float
    seconds: float | None


class ForecastExecution:
    """The use case."""

    def __init__(
        self,
        *,
        measure: MeasureAudience,
        draw: DrawMembers,
        segments: SegmentFilters,
        audience: Audience,
        bots: Bots,
        settings: StoredSettings,
        sends: RecentSends,
    ) -> None:
        self._measure = measure
        self._draw = draw
        self._segments = segments
        self._audience = audience
        self._bots = bots
        self._settings = settings
        self._sends = sends

    async def __call__(self, query: ForecastQuery) -> Forecast:
        """Raises FieldErrors when the audience cannot be understood."""
        org, snapshot = query.org, query.snapshot
        rule = await resolve_rule(org, snapshot.audience, segments=self._segments)
        tally, settings = await asyncio.gather(self._measure.current(org, rule), self._settings.of(org))
        meant = tally.testers if snapshot.options.test_mode else tally.total
        most = min(CONTACTS, DECISIONS // len(snapshot.messages))
        if meant <= most:
            told = await self._exactly(query, rule, settings)
        else:
            told = await self._about(query, rule, settings, tally, min(most, SAMPLE))
        return Forecast(
            total_count=tally.total,
            suppressed={code: round(count) for code, count in told.codes.items() if round(count)},
            messages=round(told.sent),
            cost=cost_of(round(told.sent), settings.cost_per_message),
            seconds=await self._seconds(query, told, settings),
        )

    async def _exactly(self, query: ForecastQuery, rule: AudienceRule, settings: OrgSettings) -> Foretold:
        members = await self._draw.all(query.org, rule, _choice(query.snapshot))
        courses = await self._courses(query, members, settings)
        return foretell(courses, affordable=_affordable(query.snapshot, settings))

    async def _about(
        self, query: ForecastQuery, rule: AudienceRule, settings: OrgSettings, tally: Tally, about: int
    ) -> Foretold:
        """Counted codes, and of the others what the drawn ones among them say."""
        options = query.snapshot.options
        tests, share = options.test_mode, options.target_percentage / 100
        suppressed = tally.testers_suppressed if tests else tally.suppressed
        counted = {code: count * share for code, count in suppressed.items()}
        targeted = (tally.testers if tests else tally.total) * share
        choice = _choice(query.snapshot)
        members = await self._draw.some(query.org, rule, choice, total=round(targeted), about=about)
        courses = await self._courses(query, members, settings)
        courses = [one for one in courses if one.messages or one.code not in SUPPRESSIONS]
        left = targeted - sum(counted.values())
        if not courses or left <= 0:
            return Foretold(counted, {})
        factor = left / len(courses)
        paid = _affordable(query.snapshot, settings)
        told = foretell(courses, affordable=None if paid is None else round(paid / factor)).times(factor)
        return Foretold({**counted, **told.codes}, told.messages)

    async def _courses(
        self, query: ForecastQuery, members: Sequence[Drawn], settings: OrgSettings
    ) -> list[Course]:
        snapshot = query.snapshot
        steps = [compile_message(message) for message in snapshot.messages]
        fields = frozenset[str]().union(*(step.fields for step in steps))
        courses: list[Course] = []
        size = max(1, _DECISIONS_AT_ONCE // len(steps))
        for begin in range(0, len(members), size):
            some = members[begin : begin + size]
            people = await self._audience.addressees(query.org, [one.contact_id for one in some], fields)
            allowances = await self._allowances(query, some, settings)
            courses += [
                course(
                    steps,
                    one.contact_id,
                    people.get(one.contact_id),
                    seed=snapshot.sampling_seed,
                    allowance=allowances.get(one.ordinal),
                )
                for one in some
            ]
        return courses

    async def _allowances(
        self, query: ForecastQuery, members: Sequence[Drawn], settings: OrgSettings
    ) -> Mapping[int, int]:
        """By ordinal, how many messages the frequency cap leaves; empty without one, and for tests."""
        cap = settings.frequency_cap
        if cap is None or query.snapshot.options.test_mode:
            return {}
        numbers = {block_of(one.ordinal) for one in members}
        got: dict[int, int] = {}
        for block in (await self._sends.read(query.org, numbers)).values():
            got |= block.recent(cap, now=query.begin)
        return {one.ordinal: max(0, cap.messages - got.get(one.ordinal, 0)) for one in members}

    async def _seconds(self, query: ForecastQuery, told: Foretold, settings: OrgSettings) -> float | None:
        snapshot = query.snapshot
        bots = await named_bots(query.org, snapshot.named_bots, bots=self._bots)
        rate = sum(bot.limits.rate(paid=snapshot.allow_paid_broadcast) for bot in bots if bot is not None)
        if not rate:
            return None
        hours = hours_of(snapshot, 1, settings)
        return seconds_to_send(told.messages, per_second=rate, hours=hours, begin=query.begin)


def _choice(snapshot: ExecutionSnapshot) -> Choice:
    options = snapshot.options
    return Choice(options.test_mode, snapshot.sampling_seed, options.target_percentage)


def _affordable(snapshot: ExecutionSnapshot, settings: OrgSettings) -> int | None:
    """How many messages the budget pays for; tests do not touch it."""
    if snapshot.budget is None or snapshot.options.test_mode:
        return None
    return affordable(snapshot.budget, settings.cost_per_message)
