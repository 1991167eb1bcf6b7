"""One attempt at one delivery: post and judge. What came of it is recorded with others: `record_outcomes`.

A crash before the record repeats the attempt with the same webhook-id: at least once, and the subscriber
can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service_kit.clock import Clock

from webhook_service.application.endpoint_secrets import own_headers, signing_secrets
from webhook_service.application.ports import Secrets, Sender
from webhook_service.domain.delivery import Answer, Attempt, Claim, Outcome, Status
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.retry import judge

OUR_ERROR = Answer(None, "the request could not be made: an error on our side", None, None, 0)


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery to send, and its endpoint as it was when it was taken. `probe`: see `health`."""

    claim: Claim
    endpoint: Endpoint
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, what came back, and what becomes of the delivery."""

    taken: Taken
    answer: Answer
    outcome: Outcome
    gone: bool


@dataclass(frozen=True, slots=True)
class AttemptDelivery:
    """`schedule`: seconds between attempts; `chance`: a number in [-1, 1] at each call.

    `patience`: how long, from its first attempt, a delivery holds up those behind it in its lane.
    """

    secrets: Secrets
    sender: Sender
    clock: Clock
    schedule: tuple[float, ...]
    chance: Callable[[], float]
    patience: timedelta

    async def __call__(self, taken: Taken) -> Sent:
        """Attempt it. Raises for what is wrong on our side, such as a secret that does not open."""
        claim, endpoint, at = taken.claim, taken.endpoint, self.clock.now()
        answer = await self.sender.send(
            endpoint.url,
            secrets=signing_secrets(endpoint, at, secrets=self.secrets),
            message_id=claim.event_id,
            at=at,
            body=claim.body,
            headers=own_headers(endpoint, secrets=self.secrets),
        )
        return self._judged(taken, at, answer)

    def broken(self, taken: Taken) -> Sent:
        """What becomes of it when attempting it failed on our side: an attempt like others.

        Else it would be taken again after every lease, for ever, and hold up its lane.
        """
        return self._judged(taken, self.clock.now(), OUR_ERROR)

    def _judged(self, taken: Taken, at: datetime, answer: Answer) -> Sent:
        claim = taken.claim
        verdict = judge(
            answer,
            attempts_made=claim.attempts_made,
            schedule=self.schedule,
            now=self.clock.now(),
            chance=self.chance(),
        )
        lapses_at = claim.lapses_at or at + self.patience
        outcome = Outcome(
            claim,
            Attempt(at, answer.status_code, answer.duration_ms, verdict.error),
            verdict.status,
            verdict.next_attempt_at,
            lapses_at if verdict.status is Status.PENDING else None,
            answer.body,
        )
        return Sent(taken, answer, outcome, verdict.gone)
