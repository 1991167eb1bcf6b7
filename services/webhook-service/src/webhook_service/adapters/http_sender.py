"""Posting a signed webhook; the `standardwebhooks` library signs."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from time import perf_counter

from standardwebhooks import Webhook
from yarl import URL

from webhook_service.adapters.http_client import HttpClient, Origin
from webhook_service.adapters.http_connection import NoAnswer
from webhook_service.adapters.targets import NetworkTargets
from webhook_service.domain.delivery import Answer
from webhook_service.domain.errors import TargetRefused

USER_AGENT = "Campaigns-Webhooks/1.0"
KEPT_URLS = 10_000


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
    """The Sender port. `seconds` is the deadline from the name's resolution to the end of the answer."""

    def __init__(self, client: HttpClient, *, targets: NetworkTargets, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        # The rules of today's settings, not those of the day on which the endpoint was made.
        self._allowed = lru_cache(KEPT_URLS)(lambda url: _destination(targets, url))

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
            origin, head = self._allowed(url)
            signed = signed_headers(secrets=secrets, message_id=message_id, at=at, body=body)
            request = _request(head, {**headers, **signed}, body)
            async with asyncio.timeout(self._seconds):
                reply = await self._client.post(origin, request)
        except (NoAnswer, TargetRefused) as error:
            return Answer(None, str(error), None, None, _ms(started))
        except TimeoutError:
            return Answer(None, f"no complete answer within {self._seconds:g} s", None, None, _ms(started))
        text = reply.body.decode("utf-8", errors="replace")
        return Answer(reply.status, None, reply.retry_after, text, _ms(started))


def _destination(targets: NetworkTargets, url: str) -> tuple[Origin, str]:
    """Whom to connect to, and how every request to `url` begins. Raises TargetRefused."""
    target, parsed = targets.parse_allowed(url), URL(url)
    head = (
        f"POST {parsed.raw_path_qs} HTTP/1.1\r\n"
        f"Host: {parsed.host_port_subcomponent}\r\n"
        f"User-Agent: {USER_AGENT}\r\n"
        "Accept: */*\r\nAccept-Encoding: identity\r\nContent-Type: application/json\r\n"
    )
    return Origin(target.scheme == "https", target.host, target.port or 0), head


def _request(head: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """All of the request. Raises NoAnswer for a header that could end before its line does."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.isascii() or lines.count("\r") + lines.count("\n") != 2 * len(headers) or "\0" in lines:
        raise NoAnswer("a header of the endpoint cannot be sent")
    return f"{head}Content-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def _ms(started: float) -> int:
    return round((perf_counter() - started) * 1000)
