"""The Redis client of the processes that use one. Nothing connects before it is used."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from webhook_service.settings import Settings


def redis_client(settings: Settings) -> Redis:
    """Make it inside the event loop; close it at the end."""
    timeout = settings.redis_timeout_seconds
    url = settings.redis_url.get_secret_value()
    # Not tried again: what it is asked for is worth nothing a moment later.
    client: Redis = Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
    return client
