"""The sender's ceiling: one HTTP client in a bare loop, sending what a worker would to the same sink.

    python bare_sender.py <adapter|pyreqwest> <url> <messages> <first chat> <in flight>

`adapter` is the worker's own (`TelegramBotApi`, so that it follows a change of client), `pyreqwest` the
fastest suitable client with nothing around it. Prints {"seconds", "cpu"}: wall and CPU seconds of the loop.
"""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from time import perf_counter, process_time

import uvloop
from execution_contacts import BOT_TOKEN, message_text
from execution_service.adapters.telegram_bot_api import TelegramBotApi
from execution_service.application.ports_sending import Rendered
from execution_service.domain.outcomes import Delivered
from pyreqwest.client import ClientBuilder

Send = Callable[[int], Awaitable[bool]]
ANSWER_SECONDS = 30.0
CONNECTIONS = 1_000


@asynccontextmanager
async def adapter(url: str) -> AsyncIterator[Send]:
    """Whether the message to a chat was delivered, by the worker's own client."""
    api = TelegramBotApi(url, connect_seconds=10, answer_seconds=ANSWER_SECONDS, connections=CONNECTIONS)

    async def send(chat: int) -> bool:
        rendered = Rendered(message_text(chat), "none")
        return isinstance(await api.send(BOT_TOKEN, chat, rendered, paid=False), Delivered)

    yield send
    await api.close()


@asynccontextmanager
async def pyreqwest(url: str) -> AsyncIterator[Send]:
    """The same by pyreqwest and nothing else; the answer's body is read and not looked at."""
    client = (
        ClientBuilder()
        .http1_only()
        .max_connections(CONNECTIONS)
        .pool_max_idle_per_host(CONNECTIONS)
        .timeout(timedelta(seconds=ANSWER_SECONDS))
        .build()
    )
    address, headers = f"{url}/bot{BOT_TOKEN}/sendMessage", {"Content-Type": "application/json"}

    async def send(chat: int) -> bool:
        body = b'{"chat_id":%d,"text":"%s"}' % (chat, message_text(chat).encode())
        response = await client.post(address).headers(headers).body_bytes(body).build().send()
        await response.bytes()
        return response.status == 200

    yield send
    await client.close()


async def run(send: Send, messages: int, first: int, in_flight: int) -> None:
    """Send to `messages` chats from `first` on."""
    chats, good = iter(range(first, first + messages)), 0

    async def sender() -> None:
        nonlocal good
        for chat in chats:
            delivered = await send(chat)
            good += delivered

    gc.collect()
    gc.freeze()
    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(sender() for _ in range(in_flight)))
    found = {"seconds": perf_counter() - began, "cpu": process_time() - cpu}
    if good != messages:
        raise SystemExit(f"error: {messages - good} of {messages} messages were not delivered")
    sys.stdout.write(json.dumps(found) + "\n")


async def main(kind: str, url: str, messages: int, first: int, in_flight: int) -> None:
    """One loop of one kind."""
    async with {"adapter": adapter, "pyreqwest": pyreqwest}[kind](url) as send:
        await run(send, messages, first, in_flight)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], *(int(number) for number in sys.argv[3:])))
