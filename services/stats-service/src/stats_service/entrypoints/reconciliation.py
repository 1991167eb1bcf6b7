"""The loop that compares the books with a recount every night, and tells of it."""

import asyncio
from collections.abc import Awaitable, Callable

from service_kit.logging import get_logger

from stats_service.application.reconcile_books import Difference, Reconciled
from stats_service.application.reconcile_nightly import TurnLost
from stats_service.entrypoints.patience import is_waitable
from stats_service.metrics import DIFFERENT, RECONCILED

log = get_logger()

MOST_NAMED = 20
"""Numbers of a campaign that a log line names."""
AFTER_A_FAULT_SECONDS = 3600
"""The same fault would come again, and a recount is work."""


async def reconcile_for_ever(
    look: Callable[[], Awaitable[Reconciled | None]], *, every_seconds: float
) -> None:
    """Look again and again whether it is time; no fault of it stops the process, which has more to do."""
    while True:
        pause = every_seconds
        try:
            result = await look()
        except Exception as error:
            foreseen = is_waitable(error) or isinstance(error, TurnLost)
            log.warning("reconciliation.waiting", reason=type(error).__name__, exc_info=not foreseen)
            pause = every_seconds if foreseen else AFTER_A_FAULT_SECONDS
        else:
            if result is not None:
                tell(result)
        await asyncio.sleep(pause)


def tell(result: Reconciled) -> None:
    """Count what was found, and name in the log what differs."""
    RECONCILED.labels(result="equal").inc(result.equal)
    RECONCILED.labels(result="skipped").inc(result.skipped)
    RECONCILED.labels(result="different").inc(len(result.different))
    DIFFERENT.set(len(result.different))
    for campaign, differences in result.different.items():
        numbers = [as_text(difference) for difference in differences[:MOST_NAMED]]
        log.error("statistics.different", campaign=campaign, count=len(differences), numbers=numbers)
    log.info("reconciliation.done", equal=result.equal, skipped=result.skipped,
             different=len(result.different))  # fmt: skip


def as_text(difference: Difference) -> str:
    """Such as `totals a sent: 15, recounted 10`."""
    name = " ".join(part for part in (difference.of, *difference.line, difference.metric) if part)
    return f"{name}: {difference.written}, recounted {difference.recounted}"
