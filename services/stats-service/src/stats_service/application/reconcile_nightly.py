"""Reconcile once a night, whichever replica it is."""

from collections.abc import Awaitable, Callable
from datetime import time, timedelta

from service_kit.clock import Clock

from stats_service.application.ports import Pause
from stats_service.application.ports_reconcile import Nights, Turn
from stats_service.application.reconcile_books import Reconciled
from stats_service.domain.nights import next_after


class TurnLost(Exception):
    """Somebody else has taken over: this process was held up for too long."""


async def reconcile_nightly(
    reconcile: Callable[[], Awaitable[Reconciled]], *, at: time, nights: Nights, turn: Turn, clock: Clock
) -> Reconciled | None:
    """Do it when it is due and nobody else does; None otherwise.

    The night is noted when the work is done: who dies in it, or loses the turn, leaves it to the next look.
    """
    now = clock.now()
    if now < next_after(await nights.last(now), at) or await turn.acquire() is None:
        return None
    try:
        # Somebody may have done it between the look and the turn.
        if now < next_after(await nights.last(now), at):
            return None
        result = await reconcile()
        await nights.done(clock.now())
        return result
    finally:
        await turn.release()


def keeping(turn: Turn, *, every_seconds: float, clock: Clock, pause: Pause) -> Callable[[], Awaitable[None]]:
    """Lets others work, and keeps the turn when it is called often. Raises TurnLost."""
    kept = clock.now()

    async def breathe() -> None:
        nonlocal kept
        await pause(0)
        if clock.now() - kept >= timedelta(seconds=every_seconds):
            if await turn.acquire() is None:
                raise TurnLost
            kept = clock.now()

    return breathe
