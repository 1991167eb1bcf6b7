"""Record what came of many attempts together, and what they say of their endpoints.

Mental model: the deliveries' outcomes first, in one write, each fenced by its claim; then, by `note`, one
note per endpoint that has something new to say. A crash in between repeats nothing and loses, at most, a
count of the breaker. Only switching off comes before the record: else a crash could park a delivery and leave
its endpoint on. Where that fails, its deliveries are left to their leases, and the others are recorded.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.attempt_delivery import OUR_ERROR, Sent
from webhook_service.application.disable_endpoint import DisableEndpoint, park_waiting
from webhook_service.application.ports import Deliveries, Endpoints
from webhook_service.domain.delivery import NO_CAMPAIGN, Due, Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.domain.health import (
    NOTHING,
    BreakerRules,
    Report,
    effect_of,
    is_failing_for_good,
    pause_after,
    wait_asked,
)

log = get_logger()

FRESH = timedelta(seconds=30)
"""A well endpoint's last success is noted no more often."""


class Result(StrEnum):
    """What became of a delivery that was taken."""

    SUCCEEDED = "succeeded"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"
    PARKED = "parked"
    """Not sent: the endpoint is switched off."""
    ENDED = "ended"
    """Not sent: the endpoint was deleted."""
    ERROR = "error"
    """Sent, but not recorded: its lease ends, and it is taken again."""
    LOST = "lost"
    """Sent, but somebody else owns the delivery by now."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result for each that was sent, and what has come due by that; why endpoints were switched off."""

    results: list[Result] = field(default_factory=list)
    following: list[Due] = field(default_factory=list)
    disabled: list[DisabledReason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of endpoints: why some were switched off, and until when others are paused.

    What waits at a paused one stays due: to put off a long backlog would cost as much as to deliver it, and
    make it look new. Who takes looks at the pause.
    """

    disabled: list[DisabledReason] = field(default_factory=list)
    paused: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordOutcomes:
    """Called with what was sent to any endpoints; no delivery twice. `well`: see `heal`."""

    endpoints: Endpoints
    deliveries: Deliveries
    disable: DisableEndpoint
    clock: Clock
    rules: BreakerRules
    well: set[str] = field(default_factory=set)

    async def __call__(self, sent: Sequence[Sent]) -> Recorded:
        """Record it."""
        recorded = Recorded()
        gone = {item.taken.endpoint.id: item.taken.endpoint for item in sent if item.gone}
        offs = await asyncio.gather(*(self._switch_off(item, recorded.disabled) for item in gone.values()))
        off = dict(zip(gone, offs, strict=True))
        judged = [_judged_anew(item, off, self.clock.now()) for item in sent]
        known = [item for item in judged if item is not None]
        stored = iter(await self.deliveries.record([item.outcome for item in known]))
        recorded.results.extend(
            Result.ERROR if item is None else _result(item, next(stored)) for item in judged
        )
        for endpoint_id, endpoint in gone.items():
            if off[endpoint_id]:
                await self._park(endpoint)
        try:
            recorded.following.extend(await self._following(known))
        except Exception as error:  # recorded it is, and what waits in lanes is looked at again anyway
            log.warning("deliverer.lanes_not_woken", reason=type(error).__name__, exc_info=error)
        return recorded

    async def _switch_off(self, endpoint: Endpoint, disabled: list[DisabledReason]) -> bool | None:
        """Whether it is off, now that it said that it is gone. None: not known, and not to be recorded."""
        with _apart("endpoint.not_switched_off", endpoint):
            await self._disable(endpoint, DisabledReason.GONE, disabled)
            current = await self.endpoints.find(endpoint.org, endpoint.id)
            return current is not None and not current.active
        return None

    async def _park(self, endpoint: Endpoint) -> None:
        with _apart("endpoint.not_parked", endpoint):
            await park_waiting(endpoint, endpoints=self.endpoints, deliveries=self.deliveries)

    async def _disable(
        self, endpoint: Endpoint, reason: DisabledReason, disabled: list[DisabledReason]
    ) -> None:
        if await self.disable(endpoint, reason):
            disabled.append(reason)

    async def note(self, sent: Sequence[Sent]) -> Noted:
        """Note what recorded answers say of their endpoints."""
        now, noted = self.clock.now(), Noted()
        reports: dict[str, Report] = {}
        known: dict[str, Endpoint] = {}
        for item in sorted(sent, key=lambda item: item.outcome.attempt.at):
            if not item.gone and item.answer != OUR_ERROR:  # neither says how the endpoint fares
                endpoint = known[item.taken.endpoint.id] = item.taken.endpoint
                reports[endpoint.id] = reports.get(endpoint.id, NOTHING).then(
                    effect_of(item.answer),
                    wait_seconds=wait_asked(item.answer, now=now),
                    probe=item.taken.probe,
                )
        for endpoint_id, report in reports.items():
            self.well.discard(endpoint_id)
            if not _is_news(known[endpoint_id], report, now):
                self.well.add(endpoint_id)
            else:
                with _apart("endpoint.not_noted", known[endpoint_id]):  # its later answers say it again
                    await self._note_one(known[endpoint_id], report, now, noted)
        return noted

    async def heal(self) -> None:
        """Note the successes that were no news when their deliveries were taken, where they are by now.

        A failure may have been noted in between. To be called now and then: asking each time costs too much.
        """
        well = list(self.well)
        self.well.clear()
        if well:
            await self.endpoints.heal(well, now=self.clock.now())

    async def _note_one(self, endpoint: Endpoint, report: Report, now: datetime, noted: Noted) -> None:
        after = await self.endpoints.note(endpoint, report, now=now)
        if after is None or not after.active:
            return
        if is_failing_for_good(after, rules=self.rules, now=now):
            await self._disable(after, DisabledReason.FAILING, noted.disabled)
            await self._park(after)
            return
        until = pause_after(after, report, rules=self.rules, now=now)
        if until is not None and await self.endpoints.pause(after, until=until, again=True):
            noted.paused[endpoint.id] = until

    async def _following(self, sent: Sequence[Sent]) -> list[Due]:
        """Wake in each lane the one that is next, now that one has ended."""
        now = self.clock.now()
        lanes = {
            item.outcome.claim.lane
            for item in sent
            if item.taken.endpoint.ordered
            and item.outcome.status is not Status.PENDING
            and item.outcome.claim.campaign_id != NO_CAMPAIGN
        }
        if not lanes:
            return []
        blockers = await self.deliveries.blockers(lanes, now=now)
        heads = {lane: blocker for lane, blocker in blockers.items() if not blocker.taken}
        await self.deliveries.wake([blocker.key for blocker in heads.values()], now=now)
        return [Due(blocker.key, *lane, blocker.sequence) for lane, blocker in heads.items()]


@contextmanager
def _apart(event: str, endpoint: Endpoint) -> Iterator[None]:
    """What goes wrong at one endpoint is logged, and costs the others nothing."""
    try:
        yield
    except Exception as error:
        log.warning(event, endpoint=endpoint.id, org=endpoint.org, exc_info=error)


def _judged_anew(item: Sent, off: Mapping[str, bool | None], now: datetime) -> Sent | None:
    """Parked only when its endpoint is off. None: leave it to its lease, nothing is known of the endpoint."""
    is_off = off[item.taken.endpoint.id] if item.gone else True
    if is_off is None:
        return None
    if is_off:
        return item
    # It was an earlier url's answer, or there is no endpoint any more: who takes it next will see.
    return replace(
        item, outcome=replace(item.outcome, status=Status.PENDING, next_attempt_at=now), gone=False
    )


def _result(item: Sent, stored: bool) -> Result:
    if item.gone:
        return Result.GONE
    if not stored:
        return Result.LOST
    status = item.outcome.status
    return Result.RETRY if status is Status.PENDING else Result(status.value)


def _is_news(endpoint: Endpoint, report: Report, now: datetime) -> bool:
    """Whether the endpoint's row does not say it already."""
    if report.failing or report.troubles or report.probed is not None:
        return True
    if endpoint.failures or endpoint.failing_since or endpoint.last_success_at is None:
        return True
    return now - endpoint.last_success_at > FRESH
