"""Take deliveries that are due: those that may be sent now, and nothing else.

Mental model: many are looked at together, and each rule costs one question for all of them: is the endpoint
on, is it paused, is it this one's turn in its lane, does the rate allow it? What may not go now is made due
later, so that it does not stand in the way of the rest. The claim comes last, and is what decides between
deliverers: a lane has one that may go, and of those who see it one gets it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from service_kit.clock import Clock

from webhook_service.application.attempt_delivery import Taken
from webhook_service.application.ports import Deliveries, Endpoints
from webhook_service.application.ports_engine import RateLimiter
from webhook_service.domain.delivery import NO_CAMPAIGN, Blocker, Due, Lane, Status
from webhook_service.domain.endpoint import Endpoint

GLANCE = timedelta(seconds=1)
"""How soon to look again at what waits for a probe that somebody else has just chosen."""
LANE_WAIT = timedelta(seconds=30)
"""How soon at the latest to look again at what waits behind another, or after a lease if that is shorter: a
deliverer may die before it wakes the next one.
"""
FAR_BEHIND = 10
"""So many times as long at most for what is not the next one."""


@dataclass(slots=True)
class Taking:
    """`sends`: to be sent. `waits`: endpoint to the seconds for which its rate or pause allows nothing more.

    `spared`: due, but neither taken nor put off, because of that or for want of room. `settled`: ended or
    parked. `ordered`: the endpoints among them that want order.
    """

    sends: list[Taken] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)
    spared: list[Due] = field(default_factory=list)
    settled: dict[Status, int] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class TakeDeliveries:
    """`lease`: how long what is taken belongs to this process."""

    endpoints: Endpoints
    deliveries: Deliveries
    limiter: RateLimiter
    clock: Clock
    lease: timedelta

    async def __call__(self, dues: Sequence[Due], rooms: Mapping[str, int] | None = None) -> Taking:
        """Take what may go of `dues`. `rooms`: at most so many of an endpoint; None: all of them."""
        now, taking = self.clock.now(), Taking()
        queues: dict[str, list[Due]] = defaultdict(list)
        for due in dues:
            queues[due.endpoint_id].append(due)
        endpoints = await self.endpoints.by_ids(queues)
        on = {key: item for key, item in endpoints.items() if item.active}
        closed = [due for key in queues.keys() - on.keys() for due in queues.pop(key)]
        await self._keep_order(queues, on, now, taking)
        if rooms is not None:
            for key, queue in queues.items():
                queues[key], rest = queue[: rooms[key]], queue[rooms[key] :]
                taking.spared += rest
        probes = await self._keep_pauses(queues, on, now, taking)
        await self._keep_rates(queues, on, taking)
        wanted = [due.key for queue in queues.values() for due in queue] + [due.key for due in closed]
        claims = await self.deliveries.claim(wanted, now=now, until=now + self.lease)
        taking.sends = [
            Taken(claim, on[claim.endpoint_id], claim.key in probes)
            for claim in claims
            if claim.endpoint_id in on
        ]
        await self._give_up_probes(probes - {claim.key for claim in claims}, queues, on, now)
        for status, gone in ((Status.FAILED, True), (Status.PARKED, False)):
            idle = [
                claim for claim in claims
                if claim.endpoint_id not in on and (claim.endpoint_id not in endpoints) == gone
            ]  # fmt: skip
            if idle:
                taking.settled[status] = await self.deliveries.settle(idle, status)
        return taking

    async def _keep_order(
        self, queues: dict[str, list[Due]], on: dict[str, Endpoint], now: datetime, taking: Taking
    ) -> None:
        """Leave in `queues` of each lane at an ordered endpoint what is not held up."""
        ordered = [key for key in queues if on[key].ordered]
        taking.ordered.update(ordered)
        lanes = {due.lane for key in ordered for due in queues[key] if due.campaign_id != NO_CAMPAIGN}
        if not lanes:
            return
        blockers = await self.deliveries.blockers(lanes, now=now)
        later: dict[datetime, list[str]] = defaultdict(list)
        held_up: dict[Lane, str] = {}
        for key in ordered:
            going = []
            for due in queues[key]:
                blocker = blockers.get(due.lane)
                if blocker is None or not blocker.holds_up(due):
                    going.append(due)
                else:
                    later[self._look_again(blocker, due, now)].append(due.key)
                    held_up[due.lane] = blocker.key
            queues[key] = going
        for until, keys in later.items():
            await self.deliveries.postpone(keys, now=now, until=until)
        await self._wake_missed(held_up, now)

    def _look_again(self, blocker: Blocker, due: Due, now: datetime) -> datetime:
        """When to look again at what `blocker` holds up. Its end wakes the next one earlier.

        What is further behind may wait longer: those between are woken, and wake it, before.
        """
        behind = max(1, min(due.sequence - blocker.sequence, FAR_BEHIND))
        at = now + min(LANE_WAIT, self.lease) * behind
        return at if blocker.lapses_at is None or blocker.lapses_at <= now else min(at, blocker.lapses_at)

    async def _wake_missed(self, held_up: dict[Lane, str], now: datetime) -> None:
        """What ended while others were being put off behind it has not woken them: see to them here."""
        if not held_up:
            return
        after = await self.deliveries.blockers(held_up, now=now)
        heads = [item.key for lane, item in after.items() if item.key != held_up[lane] and not item.taken]
        await self.deliveries.wake(heads, now=now)

    async def _keep_pauses(
        self, queues: dict[str, list[Due]], on: dict[str, Endpoint], now: datetime, taking: Taking
    ) -> set[str]:
        """Leave of a paused endpoint nothing in `queues`, after the pause one: which ones are probes.

        The others stay due, and are asked about again in a moment: to put them off would cost a write each.
        """
        probes: set[str] = set()
        for key in [key for key, queue in queues.items() if queue and on[key].paused_until is not None]:
            paused_until, queue = on[key].paused_until or now, queues[key]
            going = 0
            if paused_until <= now and await self.endpoints.pause(
                on[key], until=now + self.lease, again=False
            ):
                # Until the probe's answer, or its deliverer's death, the others wait.
                probes.add(queue[0].key)
                going = 1
            queues[key], rest = queue[:going], queue[going:]
            taking.spared += rest
            wait = GLANCE if paused_until <= now else min(paused_until - now, GLANCE)
            taking.waits[key] = wait.total_seconds()
        return probes

    async def _give_up_probes(
        self, lost: set[str], queues: dict[str, list[Due]], on: dict[str, Endpoint], now: datetime
    ) -> None:
        """Probes that were not to be had: let the next one be chosen soon, not after a lease."""
        for key, queue in queues.items():
            if lost and any(due.key in lost for due in queue):
                held = replace(on[key], paused_until=now + self.lease)
                await self.endpoints.pause(held, until=now, again=False)

    async def _keep_rates(
        self, queues: dict[str, list[Due]], on: dict[str, Endpoint], taking: Taking
    ) -> None:
        """Leave in `queues` as many as the endpoints' rates allow."""
        for key, queue in queues.items():
            rate = on[key].rate_limit
            if rate is None or not queue or on[key].paused_until is not None:
                # A probe goes alone, after a pause: that is slower than any rate.
                continue
            permits = await self.limiter.take(key, rate=rate, wanted=len(queue))
            if permits.granted < len(queue):
                taking.waits[key] = permits.wait_seconds
                taking.spared += queue[permits.granted :]
                queues[key] = queue[: permits.granted]
