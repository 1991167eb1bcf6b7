"""The deliverer's loop: find what is due, take as much as may be sent now, send it side by side."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.attempt_delivery import AttemptDelivery, Done
from webhook_service.application.ports import Deliveries
from webhook_service.domain.delivery import Claim, Due
from webhook_service.domain.in_flight import InFlight
from webhook_service.metrics import ATTEMPT_SECONDS, ATTEMPTS, DUE, FIRST_ATTEMPT_AGE, IN_FLIGHT

log = get_logger()

MIN_WINDOW = 64
"""Look at least this far into what is due, so that a few busy endpoints do not hide the others."""
GAUGE_SECONDS = 5
GAUGE_LIMIT = 10_000
STUCK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how wide: seconds, and requests at once."""

    workers: int
    per_endpoint: int
    poll_seconds: float
    lease_seconds: float
    drain_seconds: float


class Deliverer:
    """Sends due deliveries until cancelled, then lets those under way end."""

    def __init__(self, deliveries: Deliveries, attempt: AttemptDelivery, *, clock: Clock, pace: Pace) -> None:
        self._deliveries = deliveries
        self._attempt = attempt
        self._clock = clock
        self._pace = pace
        self._in_flight = InFlight(capacity=pace.workers, per_endpoint=pace.per_endpoint)
        self._tasks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._looked_at = monotonic()

    async def is_alive(self) -> bool:
        """Liveness: the loop has gone round lately. A database that is away does not count against it."""
        return monotonic() - self._looked_at < STUCK_SECONDS

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                await self._rest(await self._look())
        finally:
            await self._drain()

    async def _look(self) -> bool:
        """One round. Whether another one at once may find more."""
        self._looked_at = monotonic()
        self._freed.clear()
        if self._in_flight.room <= 0:
            return False
        try:
            return await self._round()
        except Exception as error:  # whatever it is, the next round may work, and leases repair this one
            log.warning("deliverer.round_failed", reason=type(error).__name__, exc_info=error)
            return False

    async def _rest(self, more: bool) -> None:
        """Wait for the next poll, or for room, whichever comes first."""
        if more:
            return
        try:
            async with asyncio.timeout(self._pace.poll_seconds):
                await self._freed.wait()
        except TimeoutError:
            pass

    async def _round(self) -> bool:
        now = self._clock.now()
        window = max(MIN_WINDOW, 2 * self._in_flight.room)
        found = await self._deliveries.due(
            now=now, limit=window, except_endpoints=self._in_flight.full_endpoints()
        )
        admitted = {due.key: due for due in self._in_flight.admit(found)}
        claims: list[Claim] = []
        try:
            until = now + timedelta(seconds=self._pace.lease_seconds)
            claims = await self._deliveries.claim(list(admitted), now=now, until=until)
        finally:
            for key in admitted.keys() - {claim.key for claim in claims}:
                self._in_flight.leave(admitted[key])
        for claim in claims:
            self._start(claim, admitted[claim.key])
        return bool(claims) and len(found) == window

    def _start(self, claim: Claim, due: Due) -> None:
        task = asyncio.create_task(self._handle(claim, due), name=f"deliver {claim.key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        IN_FLIGHT.set(len(self._in_flight))

    async def _handle(self, claim: Claim, due: Due) -> None:
        try:
            self._note(claim, await self._attempt(claim))
        except Exception as error:  # the lease ends, and the delivery is taken again
            ATTEMPTS.labels(result="error").inc()
            log.error("delivery.attempt_failed", delivery=claim.key, org=claim.org, exc_info=error)
        finally:
            self._in_flight.leave(due)
            IN_FLIGHT.set(len(self._in_flight))
            self._freed.set()

    def _note(self, claim: Claim, done: Done) -> None:
        ATTEMPTS.labels(result=done.result.value).inc()
        answer = done.answer
        if answer is not None:
            ATTEMPT_SECONDS.observe(answer.duration_ms / 1000)
            if claim.attempts_made == 0:
                FIRST_ATTEMPT_AGE.observe(max(0.0, (self._clock.now() - claim.created_at).total_seconds()))
        log.info(
            "delivery.attempted", org=claim.org, endpoint=claim.endpoint_id, event_id=claim.event_id,
            type=claim.event_type, campaign=claim.campaign_id, attempt=claim.attempts_made + 1,
            epoch=claim.epoch, result=done.result.value, error=done.error,
            status=answer and answer.status_code, duration_ms=answer and answer.duration_ms,
        )  # fmt: skip

    async def _drain(self) -> None:
        """Let requests under way end; what does not is repeated by somebody after its lease."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._pace.drain_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def gauge(self) -> None:
        """Keep the backlog's gauge current, for ever."""
        while True:
            try:
                DUE.set(await self._deliveries.count_due(now=self._clock.now(), limit=GAUGE_LIMIT))
            except Exception as error:  # a gauge must not take the deliverer down
                log.warning("deliverer.gauge_failed", reason=type(error).__name__)
            await asyncio.sleep(GAUGE_SECONDS)
