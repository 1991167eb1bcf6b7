"""The deliverer's loop: learn what is due, take as much as may be sent, send side by side, record together.

Mental model: loops beside each other. `run` takes from the backlog and starts requests; `look` asks the
database what is due; `record` stores what came back, as many together as have come back meanwhile; `note`
stores what it says of the endpoints. A hint from Redis lands in the backlog at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.attempt_delivery import AttemptDelivery, Sent, Taken
from webhook_service.application.ports import Deliveries
from webhook_service.application.record_outcomes import RecordOutcomes, Result
from webhook_service.application.take_deliveries import TakeDeliveries
from webhook_service.domain.backlog import Backlog
from webhook_service.domain.delivery import Claim, Due, Status
from webhook_service.domain.lines import InFlight, Lines
from webhook_service.entrypoints.looking import Looking
from webhook_service.entrypoints.noting import Noting
from webhook_service.metrics import ATTEMPT_SECONDS, ATTEMPTS, DISABLED, FIRST_ATTEMPT_AGE, IN_FLIGHT

log = get_logger()

GROUP = 128
"""Deliveries taken in one go."""
LOOKED_AT = 64
"""Of one ordered endpoint, in one go."""
RECORDED = 256
REST_SECONDS = 1.0
"""After a round that failed."""
STUCK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how wide: seconds, and requests at once. `request_seconds`: how long one may take."""

    workers: int
    per_endpoint: int
    poll_seconds: float
    request_seconds: float
    drain_seconds: float


class Deliverer:
    """Sends due deliveries until cancelled, then lets those under way end."""

    def __init__(
        self,
        deliveries: Deliveries,
        take: TakeDeliveries,
        attempt: AttemptDelivery,
        record: RecordOutcomes,
        *,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._deliveries = deliveries
        self._take = take
        self._attempt = attempt
        self._record = record
        self._clock = clock
        self._pace = pace
        self._in_flight = InFlight(capacity=pace.workers, per_endpoint=pace.per_endpoint)
        self._lines: Lines[Taken] = Lines(per_endpoint=pace.per_endpoint)
        self._backlog = Backlog(limit=10_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: list[Sent] = []
        self._stirred, self._came_back = asyncio.Event(), asyncio.Event()
        self._looking = Looking(deliveries, clock=clock, poll_seconds=pace.poll_seconds)
        self._noting = Noting(record, clock=clock, hold=self._hold)
        self._took_at = monotonic()
        self._stopping = False
        self._ordered: set[str] = set()

    async def is_alive(self) -> bool:
        """Liveness: the loop has gone round lately. A database that is away does not count against it."""
        return monotonic() - self._took_at < STUCK_SECONDS

    def hear(self, dues: Sequence[Due]) -> None:
        """These have come due."""
        self._backlog.add([due for due in dues if due.key not in self._in_flight])
        self._stirred.set()

    async def gauge(self) -> None:
        """Keep the backlog's gauge current, for ever."""
        await self._looking.gauge()

    async def run(self) -> None:
        """Deliver for ever. Raises what one of its loops died of."""
        looks = self._looking.run(self.hear, ready=self._ready, enough=self._enough)
        looking = asyncio.create_task(looks, name="look")
        recording = asyncio.create_task(self._record_all(), name="record")
        noting = asyncio.create_task(self._noting.run(), name="note")
        taking = asyncio.create_task(self._take_all(), name="take")
        done: set[asyncio.Task[None]] = set()
        try:
            # Without any one of them the rest would look well and deliver nothing.
            done, _ = await asyncio.wait(
                (looking, recording, noting, taking), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._stopping = True
            looking.cancel()
            self._stirred.set()
            await self._drain(taking)
            recording.cancel()
            noting.cancel()
            await asyncio.gather(looking, recording, noting, return_exceptions=True)
        for task in done:
            task.result()

    async def _take_all(self) -> None:
        """Until stopped, and never in the midst of a round: what it takes must not be forgotten."""
        while not self._stopping:
            try:
                async with asyncio.timeout(self._pace.poll_seconds):
                    await self._stirred.wait()
            except TimeoutError:
                pass  # what a rate held back may go by now
            self._stirred.clear()
            self._took_at = monotonic()
            await self._round()

    async def _round(self) -> None:
        """Take from the backlog until there is nothing, or no room."""
        while not self._stopping and (picked := self._pick()):
            self._took_at = monotonic()  # a busy one has more to pick for ever
            rooms = {due.endpoint_id: self._room_at(due.endpoint_id) for due in picked}
            for due in picked:
                self._in_flight.enter(due.key, due.endpoint_id, monotonic())
            sends: list[Taken] = []
            try:
                taking = await self._take(picked, rooms)
                sends = taking.sends
            except Exception as error:  # whatever it is, a later round may work, and leases repair this one
                log.warning("deliverer.round_failed", reason=type(error).__name__, exc_info=error)
                await asyncio.sleep(REST_SECONDS)
                return
            finally:
                taken = {item.claim.key for item in sends}
                for due in picked:
                    if due.key not in taken:
                        self._in_flight.leave(due.key)
            for endpoint_id, seconds in taking.waits.items():
                self._hold(endpoint_id, seconds)
            self._backlog.add(taking.spared)
            self._ordered = (self._ordered - rooms.keys()) | taking.ordered
            for status, count in taking.settled.items():
                result = Result.PARKED if status is Status.PARKED else Result.ENDED
                ATTEMPTS.labels(result=result.value).inc(count)
            for item in sends:
                self._start(self._lines.join(item.endpoint.id, item))

    def _hold(self, endpoint_id: str, seconds: float) -> None:
        """Give nothing of the endpoint for so long."""
        self._backlog.hold(endpoint_id, monotonic() + seconds)

    def _ready(self) -> int:
        """How many are known that go soon."""
        now = monotonic()
        return self._backlog.ready(lambda name: self._in_flight.flows(name, now), now)

    def _room_at(self, endpoint_id: str) -> int:
        return self._in_flight.room_at(endpoint_id, monotonic())

    def _enough(self) -> Sequence[str]:
        return self._backlog.enough(self._room_at, monotonic())

    def _looked_at(self, endpoint_id: str) -> int:
        """How many to look at. Where order is wanted most may be held up, so that room is not the measure."""
        room = self._room_at(endpoint_id)
        return max(room, LOOKED_AT) if room > 0 and endpoint_id in self._ordered else room

    def _pick(self) -> list[Due]:
        room = min(GROUP, self._in_flight.room)
        picked = self._backlog.pick(room, self._looked_at, monotonic()) if room > 0 else []
        return [due for due in picked if due.key not in self._in_flight]

    def _start(self, taken: Taken | None) -> None:
        if taken is not None:
            task = asyncio.create_task(self._deliver(taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            IN_FLIGHT.set(len(self._tasks))

    async def _deliver(self, taken: Taken) -> None:
        claim = taken.claim
        try:
            if self._clock.now() + timedelta(seconds=self._pace.request_seconds) > claim.until:
                self._in_flight.leave(claim.key)  # its lease could end before the answer comes
                return
            sent = await self._try(taken)
            self._in_flight.answered(taken.endpoint.id, sent.answer.duration_ms / 1000, monotonic())
            self._sent.append(sent)
            self._came_back.set()
        finally:
            self._stirred.set()
            self._start(self._lines.served(taken.endpoint.id))

    async def _try(self, taken: Taken) -> Sent:
        try:
            return await self._attempt(taken)
        except Exception as error:
            log.error(
                "delivery.attempt_failed", delivery=taken.claim.key, org=taken.claim.org, exc_info=error
            )
            return self._attempt.broken(taken)

    async def _record_all(self) -> None:
        while True:
            await self._came_back.wait()
            self._came_back.clear()
            while self._sent:
                sent, self._sent = self._sent[:RECORDED], self._sent[RECORDED:]
                await self._record_some(sent)

    async def _record_some(self, sent: Sequence[Sent]) -> None:
        try:
            recorded = await self._record(sent)
        except Exception as error:  # their leases end, and they are taken again
            log.error("deliverer.not_recorded", count=len(sent), exc_info=error)
            ATTEMPTS.labels(result="error").inc(len(sent))
            return
        finally:
            for item in sent:
                self._in_flight.leave(item.outcome.claim.key)
            self._stirred.set()
        self._noting.tell(sent)
        self.hear(recorded.following)
        for reason in recorded.disabled:
            DISABLED.labels(reason=reason.value).inc()
        for item, result in zip(sent, recorded.results, strict=True):
            self._note(item, result)

    def _note(self, sent: Sent, result: Result) -> None:
        ATTEMPTS.labels(result=result.value).inc()
        claim, answer = sent.outcome.claim, sent.answer
        ATTEMPT_SECONDS.observe(answer.duration_ms / 1000)
        if claim.attempts_made == 0:
            FIRST_ATTEMPT_AGE.observe(_age(claim, self._clock))
        log.info(
            "delivery.attempted", org=claim.org, endpoint=claim.endpoint_id, event_id=claim.event_id,
            type=claim.event_type, campaign=claim.campaign_id, attempt=claim.attempts_made + 1,
            epoch=claim.epoch, result=result.value, error=sent.outcome.attempt.error,
            status=answer.status_code, duration_ms=answer.duration_ms,
        )  # fmt: skip

    async def _drain(self, taking: "asyncio.Task[None]") -> None:
        """Give back what has not begun and let the rest end; what does not is repeated after its lease."""
        try:
            async with asyncio.timeout(self._pace.drain_seconds):
                await asyncio.wait({taking})
                waiting = [taken.claim for taken in self._lines.clear()]
                await self._deliveries.give_back(waiting, due_at=self._clock.now())
                for claim in waiting:
                    self._in_flight.leave(claim.key)
                while len(self._in_flight):
                    self._stirred.clear()
                    await self._stirred.wait()
        except Exception as error:
            log.warning("deliverer.drained_in_part", left=len(self._in_flight), reason=type(error).__name__)
        for task in (taking, *self._tasks):
            task.cancel()
        await asyncio.gather(taking, *self._tasks, return_exceptions=True)


def _age(claim: Claim, clock: Clock) -> float:
    return max(0.0, (clock.now() - claim.created_at).total_seconds())
