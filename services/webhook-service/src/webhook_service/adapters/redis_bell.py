"""What is due, told by Redis' publish and subscribe: nothing is kept, and nobody relies on it.

A message is a JSON list of [key, endpoint, campaign, sequence].
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from time import monotonic

from redis.asyncio import Redis
from redis.exceptions import RedisError
from service_kit.logging import get_logger

from webhook_service.domain.delivery import Due

log = get_logger()

CHANNEL = "webhook:due"
MOST = 1_000
"""Deliveries in one message; of more than these in a group deliverers hear by their next look."""
REST_SECONDS = 1.0
"""How long to leave a Redis alone that did not answer."""
LISTEN_SECONDS = 5.0


class RedisBell:
    """The Bell port. `redis` has the timeouts of the settings."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._quiet_until = 0.0

    async def ring(self, dues: Sequence[Due]) -> None:
        """Tell all deliverers, if possible."""
        if not dues or monotonic() < self._quiet_until:
            return
        told = [[due.key, due.endpoint_id, due.campaign_id, due.sequence] for due in dues[:MOST]]
        try:
            await self._redis.publish(CHANNEL, json.dumps(told, separators=(",", ":")))
        except (RedisError, OSError, TimeoutError) as error:
            self._quiet_until = monotonic() + REST_SECONDS
            log.warning("bell.not_heard", reason=type(error).__name__)


async def listen(redis: Redis, heard: Callable[[Sequence[Due]], None]) -> None:
    """Give `heard` what is told, for ever. A Redis that is away is waited for."""
    while True:
        try:
            async with redis.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(CHANNEL)
                while True:
                    message = await channel.get_message(timeout=LISTEN_SECONDS)
                    if message is not None:
                        heard(_read(message["data"]))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("bell.not_listening", reason=type(error).__name__)
            await asyncio.sleep(REST_SECONDS)


def _read(data: bytes | str) -> list[Due]:
    """What a message says; nothing when it is not one of ours."""
    try:
        return [
            Due(str(key), str(endpoint), str(campaign), int(sequence))
            for key, endpoint, campaign, sequence in json.loads(data)
        ]
    except (ValueError, TypeError):
        return []
