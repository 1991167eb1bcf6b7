"""One organisation of the execution bench: what an operator does over HTTP, with deadlines."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from time import perf_counter
from typing import Any

from devstack import secrets
from devstack.stack import Stack
from execution_contacts import BOT_ID, CONTENT, SEGMENT
from load import Http, Unexpected
from pyreqwest.client import ClientBuilder

RATE = 100_000
"""Messages a second that the bot is allowed: no limit, in effect; nor is there one for each chat."""
IMPORT_SECONDS = 900
CAMPAIGN = {
    "name": "Summer Sale Campaign", "type": "message", "targetAudience": {"segments": [SEGMENT]},
    "messages": [{"content": CONTENT}],
}  # fmt: skip


class TooLate(Exception):
    """What was waited for did not come."""


async def until(
    what: str, read: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], *, seconds: float,
    every: float = 0.25,
) -> Any:  # fmt: skip
    """What `read` answers once that is `good`; a refused or unanswered read is repeated. Raises TooLate."""
    end, last = perf_counter() + seconds, None
    while perf_counter() < end:
        try:
            last = await read()
            if good(last):
                return last
        except (Unexpected, OSError, TimeoutError) as error:
            last = error
        await asyncio.sleep(every)
    raise TooLate(f"{what}: not within {seconds:.0f} s; last seen: {str(last)[:600]}")


class Org:
    """An organisation named `name`, on the services of a stack."""

    def __init__(self, stack: Stack, name: str, number: int) -> None:
        self.name, self._number = name, number
        self.members = 0
        settings = stack.settings
        self._token = secrets.token(stack.environment(), org=name, role="admin")
        bases = {
            "campaign": settings.campaign_api_port,
            "execution": settings.execution_api_port,
            "stats": settings.stats_api_port,
        }
        self._bases = {service: f"http://127.0.0.1:{port}/api/v1" for service, port in bases.items()}
        self._http = {service: Http(base, self._token, 8) for service, base in self._bases.items()}

    async def get(self, service: str, path: str) -> Any:
        """`data` of a GET. Raises Unexpected."""
        return json.loads(await self._http[service]("GET", path))["data"]

    async def send(self, service: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """`data` of the answer to a JSON body. Raises Unexpected."""
        raw = None if body is None else json.dumps(body).encode()
        return json.loads(await self._http[service](method, path, raw, status=status))["data"]

    async def found(self) -> None:
        """A segment, and a bot without limits."""
        await self.send("execution", "POST", "/segments", {"id": SEGMENT, "name": "All"}, 201)
        token = f"{BOT_ID + self._number}:only-the-sink-knows-this-one"
        limits = {"perSecond": RATE, "perChatPerSecond": RATE, "perGroupPerMinute": 60 * RATE}
        body = {"name": "Bench", "token": token, "limits": limits, "default": True}
        await self.send("execution", "POST", "/bots", body, 201)

    async def take(self, chunks: Iterator[bytes], media: str) -> dict[str, Any]:
        """Import a file; its answer, and `seconds`. The file is made while it is sent."""
        client = ClientBuilder().http1_only().timeout(timedelta(seconds=IMPORT_SECONDS)).build()

        async def stream() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": media}
        request = client.post(f"{self._bases['execution']}/contacts/import").headers(headers)
        began = perf_counter()
        async with client:
            response = await request.body_stream(stream()).build().send()
            raw = bytes(await response.bytes())
        if response.status != 200:
            raise Unexpected(f"import: {response.status} {raw[:300]!r}")
        answer: dict[str, Any] = json.loads(raw)["data"]
        self.members += int(answer["imported"])
        return answer | {"seconds": perf_counter() - began}

    async def add(self, contact_id: str, chat: int) -> None:
        """One more contact, in the segment."""
        body = {"telegramChatId": chat, "segments": [SEGMENT]}
        await self.send("execution", "PUT", f"/contacts/{contact_id}", body)
        self.members += 1

    async def draft(self) -> str:
        """A campaign for everybody."""
        return str((await self.send("campaign", "POST", "/campaigns", CAMPAIGN, 201))["id"])

    async def start(self, *, seconds: float) -> str:
        """The same, executing. A service that is warming up may refuse at first."""
        campaign_id = await self.draft()

        async def execute() -> Any:
            return await self.send("campaign", "POST", f"/campaigns/{campaign_id}/execute")

        await until("execute", execute, lambda _: True, seconds=seconds)
        return campaign_id

    async def progress(self, campaign_id: str) -> Any:
        """`data` of the campaign's progress."""
        return await self.get("execution", f"/campaigns/{campaign_id}/progress")
