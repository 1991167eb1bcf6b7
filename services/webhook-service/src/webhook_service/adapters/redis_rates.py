"""The endpoints' rate limits, kept in Redis for all deliverers, or here for one while Redis is away."""

from collections.abc import Callable
from importlib.resources import files
from time import monotonic

from redis.asyncio import Redis
from redis.exceptions import RedisError
from service_kit.logging import get_logger

from webhook_service.domain.token_bucket import BURST_SECONDS, Permits, TokenBucket

log = get_logger()

REST_SECONDS = 1.0
KEPT_MS = 60_000
KEPT_BUCKETS = 10_000


class RedisRates:
    """The RateLimiter port. The script owns time, so that the deliverers' clocks do not matter."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = monotonic) -> None:
        script = files("webhook_service.adapters").joinpath("take_permits.lua")
        self._take = redis.register_script(script.read_text("utf-8"))
        self._clock = clock
        self._away_until = 0.0
        self._buckets: dict[str, TokenBucket] = {}

    async def take(self, endpoint_id: str, *, rate: int, wanted: int) -> Permits:
        """As many of `wanted` as may be sent now."""
        if self._clock() < self._away_until:
            return self._alone(endpoint_id, rate, wanted)
        try:
            granted, wait = await self._take(
                keys=[f"webhook:rate:{{{endpoint_id}}}"], args=[rate, wanted, BURST_SECONDS, KEPT_MS]
            )
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self._clock() + REST_SECONDS
            log.warning("rates.alone", reason=type(error).__name__)
            return self._alone(endpoint_id, rate, wanted)
        return Permits(int(granted), int(wait) / 1e6)

    def _alone(self, endpoint_id: str, rate: int, wanted: int) -> Permits:
        if len(self._buckets) >= KEPT_BUCKETS and endpoint_id not in self._buckets:
            self._buckets.clear()
        bucket = self._buckets.setdefault(endpoint_id, TokenBucket(rate))
        bucket.rate = rate
        return bucket.take(wanted, self._clock())
