"""Posting a signed webhook with aiohttp; the `standardwebhooks` library signs.

Redirects are not followed, no proxy from the environment is used, cookies are not kept, and a compressed
answer is not unpacked, so that an answer costs no more than what is read of it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import perf_counter

import aiohttp
from standardwebhooks import Webhook

from webhook_service.adapters.guarded_connections import AddressRefused, GuardedResolver, guarded_sockets
from webhook_service.adapters.targets import Lookup, NetworkTargets
from webhook_service.domain.delivery import Answer
from webhook_service.domain.errors import TargetRefused

KEEP_BYTES = 16 * 1024
"""How much of an answer's body is read and kept."""
KEEPALIVE_SECONDS = 4
"""Below the usual five seconds of servers: a connection that they close just then would fail the attempt."""
USER_AGENT = "Campaigns-Webhooks/1.0"


def open_session(*, lookup: Lookup, allow_private: bool, connections: int) -> aiohttp.ClientSession:
    """A client that reaches only allowed addresses. Make it inside the event loop; close it at the end."""
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(lookup, allow_private=allow_private),
        socket_factory=guarded_sockets(allow_private=allow_private),
        use_dns_cache=False,
        limit=connections,
        keepalive_timeout=KEEPALIVE_SECONDS,
    )
    return aiohttp.ClientSession(
        connector=connector,
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Content-Type": "application/json", "Accept-Encoding": "identity"},
    )


def signed_headers(*, secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three Standard Webhooks headers for `body`, signed as of `at` (UTC) with each of `secrets`."""
    text = body.decode()
    signatures = [Webhook(secret).sign(msg_id=message_id, timestamp=at, data=text) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class HttpSender:
    """The Sender port. `seconds` is the deadline from the connection to the end of the answer."""

    def __init__(self, session: aiohttp.ClientSession, *, targets: NetworkTargets, seconds: float) -> None:
        self._session = session
        self._targets = targets
        self._seconds = seconds

    async def send(
        self,
        url: str,
        *,
        secrets: Sequence[str],
        message_id: str,
        at: datetime,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Answer:
        """The answer, or an Answer that says why there is none. Never raises for what the subscriber does."""
        started = perf_counter()
        try:
            # The rules of today, not those of the day on which the endpoint was made.
            self._targets.parse_allowed(url)
            signed = signed_headers(secrets=secrets, message_id=message_id, at=at, body=body)
            async with asyncio.timeout(self._seconds):
                status, retry_after, text = await self._post(url, {**headers, **signed}, body)
        except (aiohttp.ClientError, TargetRefused, OSError, ValueError) as error:
            return Answer(None, _reason(error, self._seconds), None, None, _ms(started))
        return Answer(status, None, retry_after, text, _ms(started))

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str | None, str]:
        # Our deadline is the only one: aiohttp's own would start anew in some phases.
        unlimited = aiohttp.ClientTimeout(total=None)
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False, timeout=unlimited
        ) as response:
            kept = bytearray()
            async for chunk in response.content.iter_chunked(KEEP_BYTES):
                kept += chunk
                if len(kept) >= KEEP_BYTES:
                    response.close()
                    break
            text = bytes(kept[:KEEP_BYTES]).decode("utf-8", errors="replace")
            return response.status, response.headers.get("Retry-After"), text


def _ms(started: float) -> int:
    return round((perf_counter() - started) * 1000)


def _reason(error: Exception, seconds: float) -> str:
    """Why there is no answer, for the subscriber's eyes: nothing about our network."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused | TargetRefused):
            return str(cause)
        cause = cause.__cause__
    table: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, f"no complete answer within {seconds:g} s"),
        (aiohttp.ClientConnectorDNSError, "the host does not resolve"),
        (aiohttp.ClientSSLError, "the TLS handshake failed"),
        (aiohttp.ClientConnectorError, "the connection could not be made"),
        (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
        (aiohttp.ClientOSError, "the connection broke"),
        (aiohttp.ClientPayloadError, "the answer broke off"),
        (aiohttp.ClientResponseError, "the answer was not HTTP"),
    )
    return next((text for kind, text in table if isinstance(error, kind)), "the request could not be made")
