"""Holding a shard's lease while it is run, and giving it back."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.ports_engine import ShardLease, Shards
from execution_service.domain.holding import Held

log = get_logger()


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """Settings of a runner; seconds, but for `window_size` (contacts)."""

    window_size: int
    lease_seconds: float
    patience_seconds: float
    slice_seconds: float
    """How long one shard may keep a runner before it queues again."""
    intent_seconds: float
    """How long before its first slot a window's intent is stored."""
    reserve_seconds: float
    """Nothing is dispatched so close to the end of the lease: an answer and its record need that long."""
    trust_seconds: float
    """Nothing is dispatched so long after the last look at the execution."""


class KeepLease:
    """Renews and releases leases for `lease_seconds` each."""

    def __init__(self, shards: Shards, *, clock: Clock, lease_seconds: float) -> None:
        self._shards = shards
        self._clock = clock
        self._seconds = lease_seconds

    async def hold(self, lease: ShardLease) -> None:
        """Renew when less than half of the lease is left. Raises LeaseLost."""
        now = asyncio.get_running_loop().time()
        if lease.deadline - now < self._seconds / 2:
            await self._shards.renew(lease, until=self._clock.now() + timedelta(seconds=self._seconds))
            lease.deadline = now + self._seconds

    async def release(self, lease: ShardLease, after: float, *, held: Held | None = None) -> None:
        """Let others take it after so many seconds, or when its contacts' hours come. Never raises."""
        try:
            if held is not None:
                await self._shards.hold(lease, held)
                log.info(
                    "shard.waits", shard_id=lease.shard_id, count=held.count, until=held.until.isoformat()
                )
            else:
                await self._shards.release(lease, due=self._clock.now() + timedelta(seconds=after))
        except Exception as error:
            # The lease will expire by itself.
            log.warning("shard.not_released", shard_id=lease.shard_id, reason=type(error).__name__)
