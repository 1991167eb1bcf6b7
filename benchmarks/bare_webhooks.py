"""The deliverer's ceiling: its HTTP client in a bare loop, to the same sink.

    python bare_webhooks.py <client|sender> <url> <messages> <in flight>

`client` posts bytes that were made before; `sender` makes and signs each message. Nothing is taken from a
database or recorded. Prints {"seconds", "cpu"}: wall and CPU seconds of the loop.
"""

import asyncio
import base64
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter, process_time

import uvloop
from webhook_service.adapters.http_client import HttpClient, Origin, trusting_the_system
from webhook_service.adapters.http_sender import HttpSender
from webhook_service.adapters.targets import NetworkTargets
from yarl import URL

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"type":"campaign.created","timestamp":"2026-01-01T12:00:00Z","data":{"campaignId":"camp_1"}}'


async def nowhere(host: str, port: int) -> list[str]:
    """Addresses need no name server."""
    raise OSError(host)


async def run(kind: str, url: str, messages: int, in_flight: int) -> None:
    """One loop of one kind."""
    client = HttpClient(lookup=nowhere, allow_private=True, idle=in_flight, tls=trusting_the_system())
    targets = NetworkTargets(allow_private=True, lookup=nowhere, seconds=1)
    sender = HttpSender(client, targets=targets, seconds=15)
    parsed, at, good = URL(url), datetime.now(UTC), 0
    origin = Origin(False, parsed.host or "", parsed.port or 80)
    head = f"POST {parsed.path} HTTP/1.1\r\nHost: sink\r\nContent-Length: {len(BODY)}\r\nwebhook-id: evt_"

    async def post(number: int) -> bool:
        return (await client.post(origin, f"{head}{number}\r\n\r\n".encode() + BODY)).status == 200

    async def send(number: int) -> bool:
        answer = await sender.send(
            url, secrets=[SECRET], message_id=f"evt_{number}", at=at, body=BODY, headers={}
        )
        return answer.status_code == 200

    kinds: dict[str, Callable[[int], Awaitable[bool]]] = {"client": post, "sender": send}
    numbers = iter(range(messages))

    async def worker() -> None:
        nonlocal good
        for number in numbers:
            taken = await kinds[kind](number)
            good += taken

    gc.collect()
    gc.freeze()
    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    found = {"seconds": perf_counter() - began, "cpu": process_time() - cpu}
    client.close()
    if good != messages:
        raise SystemExit(f"error: {messages - good} of {messages} webhooks were not taken")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2], *(int(number) for number in sys.argv[3:])))
