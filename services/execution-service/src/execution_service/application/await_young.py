"""A campaign is known here a moment after it was created: who asks for a young one waits that moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts.ids import created_at
from service_kit.clock import Clock

T = TypeVar("T")
_YOUNG_SECONDS = 10
_LOOK_SECONDS = 0.05


async def await_young(
    campaign_id: str, look: Callable[[], Awaitable[T | None]], *, clock: Clock, seconds: float
) -> T | None:
    """What `look` finds, at once or, of a campaign just created, within `seconds`; None: nothing."""
    made = created_at(campaign_id)
    young = made is not None and (clock.now() - made).total_seconds() < _YOUNG_SECONDS
    loop = asyncio.get_running_loop()
    until = loop.time() + (seconds if young else 0)
    while True:
        found = await look()
        if found is not None or loop.time() >= until:
            return found
        await asyncio.sleep(_LOOK_SECONDS)
