"""One attempt at one delivery.

Mental model: post, judge, record. The record is conditional on the claim's epoch, so of two workers
that believe they own a delivery only the later one counts. A crash before the record repeats the
attempt with the same webhook-id: at least once, and the subscriber can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from service_kit.clock import Clock

from webhook_service.application.endpoint_secrets import own_headers, signing_secrets
from webhook_service.application.ports import Deliveries, Endpoints, Secrets, Sender
from webhook_service.domain.delivery import Answer, Attempt, Claim, Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.domain.retry import judge


class Result(StrEnum):
    """What became of the attempt."""

    SUCCEEDED = "succeeded"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"
    PARKED = "parked"
    """Not sent: the endpoint is switched off."""
    ENDED = "ended"
    """Not sent: the endpoint was deleted."""
    LOST = "lost"
    """Sent, but somebody else owns the delivery by now."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result, and the answer when something was sent."""

    result: Result
    answer: Answer | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptDelivery:
    """`schedule`: seconds between attempts; `chance`: a number in [-1, 1] at each call."""

    endpoints: Endpoints
    deliveries: Deliveries
    secrets: Secrets
    sender: Sender
    clock: Clock
    schedule: tuple[float, ...]
    chance: Callable[[], float]

    async def __call__(self, claim: Claim) -> Done:
        """Attempt it and record how it went."""
        endpoint = await self.endpoints.find(claim.org, claim.endpoint_id)
        if endpoint is None:
            await self.deliveries.settle(claim, Status.FAILED)
            return Done(Result.ENDED)
        if not endpoint.active:
            await self.deliveries.settle(claim, Status.PARKED)
            return Done(Result.PARKED)
        return await self._send(claim, endpoint)

    async def _send(self, claim: Claim, endpoint: Endpoint) -> Done:
        at = self.clock.now()
        answer = await self.sender.send(
            endpoint.url,
            secrets=signing_secrets(endpoint, at, secrets=self.secrets),
            message_id=claim.event_id,
            at=at,
            body=claim.body,
            headers=own_headers(endpoint, secrets=self.secrets),
        )
        verdict = judge(
            answer,
            attempts_made=claim.attempts_made,
            schedule=self.schedule,
            now=self.clock.now(),
            chance=self.chance(),
        )
        if verdict.gone:
            # Before the record: a crash in between must not park the delivery and leave the endpoint on.
            await self.endpoints.disable(endpoint.org, endpoint.id, reason=DisabledReason.GONE, now=at)
        attempt = Attempt(at, answer.status_code, answer.duration_ms, verdict.error)
        recorded = await self.deliveries.record(claim, attempt, verdict, answer.body)
        if verdict.gone:
            await self.deliveries.settle_all(endpoint.id, Status.PARKED)
            return Done(Result.GONE, answer, verdict.error)
        if not recorded:
            return Done(Result.LOST, answer, verdict.error)
        result = Result.RETRY if verdict.status is Status.PENDING else Result(verdict.status.value)
        return Done(result, answer, verdict.error)
