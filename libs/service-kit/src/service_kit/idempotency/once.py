"""A use case under a key: one committed effect, and its answer with it.

Mental model: the use case stays unaware; it is given `Recording` in place of its transactions, which
puts the answer into the transaction that commits the effect.

    killed before the commit    nothing happened, the key is free when its lock runs out
    killed after the commit     the answer is there and is given again
    the use case raises         nothing happened, the key is free at once (unless the commit had landed)

So the use case must have at most one committed `run`, which returns what the use case returns. Runs that
raise (a version conflict, tried again) abort and record nothing. A use case that returns without any run
changed nothing; its answer is recorded by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from service_kit.idempotency.keys import Claim, IdempotencyKeys, KeyedRequest, Recorded
from service_kit.logging import get_logger
from service_kit.ports import Transactions, Tx

log = get_logger()
T = TypeVar("T")
R = TypeVar("R")


class Recording(Generic[T]):
    """The Transactions port over `inner`, recording the answer to the one run that commits."""

    def __init__(
        self,
        inner: Transactions,
        *,
        keys: IdempotencyKeys,
        claim: Claim,
        answer: Callable[[T], Recorded],
    ) -> None:
        self._inner = inner
        self._keys = keys
        self._claim = claim
        self._answer = answer
        self.recorded: Recorded | None = None

    async def run(self, work: Callable[[Tx], Awaitable[R]]) -> R:
        """`work`'s answer, committed together with the record of it. Raises KeyInFlight."""
        if self.recorded is not None:
            raise RuntimeError("a use case under an Idempotency-Key may commit one transaction only")

        async def recorded(tx: Tx) -> tuple[R, Recorded]:
            result = await work(tx)
            # What a run returns is what the use case returns: `answer` fails on anything else, and with
            # it the transaction.
            record = self._answer(cast(T, result))
            await self._keys.finish(tx, self._claim, record)
            return result, record

        result, self.recorded = await self._inner.run(recorded)
        return result


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Runs use cases under keys. `release_seconds` is what giving a key back may add to a failed request."""

    keys: IdempotencyKeys
    transactions: Transactions
    release_seconds: float

    async def once(
        self,
        request: KeyedRequest,
        use_case: Callable[[Transactions], Awaitable[T]],
        *,
        answer: Callable[[T], Recorded],
    ) -> tuple[Recorded, bool]:
        """The answer, and whether it is the first one again.

        Raises KeyReused, KeyInFlight, and what the use case raises.
        """
        begun = await self.keys.begin(request)
        if isinstance(begun, Recorded):
            return begun, True
        recording = Recording[T](self.transactions, keys=self.keys, claim=begun, answer=answer)
        try:
            result = await use_case(recording)
            if recording.recorded is None:
                await recording.run(_nothing_but(result))
        except Exception:
            await self._release(begun)
            raise
        return cast(Recorded, recording.recorded), False

    async def _release(self, claim: Claim) -> None:
        """Best effort: what cannot be released now is free when its lock runs out."""
        try:
            async with asyncio.timeout(self.release_seconds):
                await self.keys.release(claim)
        except Exception as error:
            log.warning("idempotency.not_released", reason=type(error).__name__)


def _nothing_but(result: T) -> Callable[[Tx], Awaitable[T]]:
    async def work(_tx: Tx) -> T:
        return result

    return work
