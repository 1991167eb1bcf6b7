"""The line between "nothing was written" and "something may have been", on raw sockets.

Each test plays Telegram byte by byte. A request that the other side has seen must never be called not
connected, and never be written twice; one that it cannot have seen must not be called unknown.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
import pytest
from contracts.events.campaign import Media
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from execution_service.adapters.telegram_bot_api import ANSWER_BYTES, TelegramBotApi
from execution_service.application.ports_sending import LinkButton, Rendered
from execution_service.domain.outcomes import (
    Delivered,
    NoAnswer,
    NotConnected,
    RateLimited,
    Rejected,
    SendResult,
    ServerFailed,
)

TOKEN = "123456:a-secret-of-the-bot"
HELLO = Rendered("Hi <b>Näme</b>", "HTML")
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    """One whole request; its body, decoded, with the request line as `line`."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        int(line.partition(":")[2])
        for line in head.split("\r\n")
        if line.lower().startswith("content-length")
    )
    body: dict[str, Any] = orjson.loads(await reader.readexactly(length))
    return {**body, "line": head.partition("\r\n")[0], "head": head.lower()}


def answer(body: bytes = b'{"ok":true,"result":{"message_id":7}}', status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def telegram(script: Script, **options: Any) -> AsyncIterator[str]:
    """A server that runs `script` for each connection; its address."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, **options)
    try:
        yield f"http{'s' if options else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def api(
    url: str, *, connect: float = 1.0, answer: float = 2.0, connections: int = 10
) -> AsyncIterator[TelegramBotApi]:
    made = TelegramBotApi(url, connect_seconds=connect, answer_seconds=answer, connections=connections)
    try:
        yield made
    finally:
        await made.close()


async def sent_to(script: Script, **limits: Any) -> SendResult:
    """What one send to `script` means."""
    async with telegram(script) as url, api(url, **limits) as bot:
        return await bot.send(TOKEN, 42, HELLO, paid=False)


async def test_a_message_is_posted_as_the_bot_api_wants_it() -> None:
    seen: list[dict[str, Any]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            seen.append(await read_request(reader))
            writer.write(answer())

    async with telegram(script) as url, api(url) as bot:
        assert await bot.send(TOKEN, 42, HELLO, paid=False) == Delivered(7)
        assert await bot.send(TOKEN, -10042, Rendered("plain", "none"), paid=True) == Delivered(7)
    assert seen[0]["line"] == f"POST /bot{TOKEN}/sendMessage HTTP/1.1"
    assert "\r\ncontent-type: application/json\r\n" in seen[0]["head"]
    bodies = [{key: row[key] for key in row if key not in ("line", "head")} for row in seen]
    assert bodies == [
        {"chat_id": 42, "text": "Hi <b>Näme</b>", "parse_mode": "HTML"},
        {"chat_id": -10042, "text": "plain", "allow_paid_broadcast": True},
    ]


async def test_media_and_buttons_are_posted_as_the_bot_api_wants_them() -> None:
    seen: list[dict[str, Any]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(5):
            seen.append(await read_request(reader))
            writer.write(answer())

    keyboard = [[LinkButton("Shop", "https://go.example/1"), LinkButton("Help", "https://go.example/2")]]
    async with telegram(script) as url, api(url) as bot:
        for kind in ("photo", "video", "document", "animation"):
            media = Media(type=kind, url=f"https://cdn.example/{kind}")
            await bot.send(TOKEN, 42, Rendered("Hi", "HTML", media, keyboard), paid=False)
        await bot.send(TOKEN, 42, Rendered("", "none", media), paid=True)
    assert [row["line"].split()[1].rpartition("/")[2] for row in seen] == [
        "sendPhoto", "sendVideo", "sendDocument", "sendAnimation", "sendAnimation",
    ]  # fmt: skip
    bodies = [{key: row[key] for key in row if key not in ("line", "head")} for row in seen]
    assert bodies[0] == {
        "chat_id": 42,
        "photo": "https://cdn.example/photo",
        "caption": "Hi",
        "parse_mode": "HTML",
        "reply_markup": {
            "inline_keyboard": [
                [
                    {"text": "Shop", "url": "https://go.example/1"},
                    {"text": "Help", "url": "https://go.example/2"},
                ]
            ]
        },
    }
    assert [body.get(kind) for body, kind in zip(bodies[1:4], ("video", "document", "animation"), strict=True)] == [
        "https://cdn.example/video", "https://cdn.example/document", "https://cdn.example/animation",
    ]  # fmt: skip
    assert bodies[4] == {
        "chat_id": 42,
        "animation": "https://cdn.example/animation",
        "allow_paid_broadcast": True,
    }


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        (answer(b'{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}', "403 Forbidden"),
         Rejected("USER_BLOCKED")),
        (answer(b'{"ok":false,"parameters":{"retry_after":9}}', "429 Too Many Requests"), RateLimited(9)),
        (answer(b'{"ok":false}', "502 Bad Gateway"), ServerFailed()),
        (answer(b"<html>bad gateway</html>", "502 Bad Gateway"), NoAnswer()),
        (answer(b""), NoAnswer()),
        (answer()[:-5], NoAnswer()),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", NoAnswer()),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", NoAnswer()),
        (b"", NoAnswer()),
        (answer(b'{"ok":true,"result":{"message_id":7,"text":"' + b"x" * ANSWER_BYTES + b'"}}'), NoAnswer()),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n"
         b'{"ok":true,"resul\r\n14\r\nt":{"message_id":7}}\r\n0\r\n\r\n', Delivered(7)),
    ],
)  # fmt: skip
async def test_what_is_read_means_what_it_says_and_anything_else_is_unknown(
    raw: bytes, meaning: SendResult
) -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1
        writer.write(raw)

    assert await sent_to(script) == meaning
    assert requests == 1


async def test_an_answer_in_pieces_is_read_to_its_end() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in answer():
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    assert await sent_to(script) == Delivered(7)


async def test_a_port_where_nobody_listens_is_not_connected() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with api(f"http://127.0.0.1:{listener.getsockname()[1]}") as bot:
            assert await bot.send(TOKEN, 42, HELLO, paid=False) == NotConnected()


async def test_a_name_that_does_not_resolve_is_not_connected() -> None:
    async with api("http://telegram.invalid") as bot:
        assert await bot.send(TOKEN, 42, HELLO, paid=False) == NotConnected()


async def test_a_server_that_takes_no_connection_is_not_connected() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):  # the queue of those who wait to be accepted is full
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        async with api(f"http://127.0.0.1:{listener.getsockname()[1]}", connect=0.2) as bot:
            assert await bot.send(TOKEN, 42, HELLO, paid=False) == NotConnected()


async def test_a_pool_without_a_free_connection_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution_service.adapters.telegram_bot_api.POOL_SECONDS", 0.1)
    seen: list[int] = []
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader))["chat_id"])
        arrived.set()
        await go_on.wait()
        writer.write(answer())

    async with telegram(script) as url, api(url, connections=1) as bot:
        first = asyncio.create_task(bot.send(TOKEN, 1, HELLO, paid=False))
        await arrived.wait()
        assert await bot.send(TOKEN, 2, HELLO, paid=False) == NotConnected()
        go_on.set()
        assert await first == Delivered(7)
    assert seen == [1]


async def test_silence_after_the_request_is_unknown() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    assert await sent_to(script, answer=0.2) == NoAnswer()


async def test_an_answer_that_never_ends_is_unknown() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    assert await sent_to(script, answer=0.3) == NoAnswer()


async def test_a_kept_connection_that_closes_in_the_middle_of_a_request_is_not_asked_again() -> None:
    """The classic trap: a client that repeats the request of a stale connection by itself."""
    seen: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            chat = (await read_request(reader))["chat_id"]
            seen.append(chat)
            if chat == 2:
                return
            writer.write(answer())

    async with telegram(script) as url, api(url) as bot:
        assert await bot.send(TOKEN, 1, HELLO, paid=False) == Delivered(7)
        assert await bot.send(TOKEN, 2, HELLO, paid=False) == NoAnswer()
        assert await bot.send(TOKEN, 3, HELLO, paid=False) == Delivered(7)
    assert seen == [1, 2, 3]


async def test_a_kept_connection_that_was_closed_long_ago_is_replaced() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())

    async with telegram(script) as url, api(url) as bot:
        for _ in range(3):
            assert await bot.send(TOKEN, 1, HELLO, paid=False) == Delivered(7)
            await asyncio.sleep(0.05)  # the closing arrives


@pytest.mark.parametrize("reset", [False, True])
async def test_whenever_a_connection_closes_nothing_is_written_twice_and_nothing_seen_is_not_connected(
    reset: bool,
) -> None:
    """Closing at random moments: before, while and after a request is read, kept connections or fresh ones."""
    dice = random.Random(11)
    seen: Counter[int] = Counter()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reset:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        while dice.random() > 0.2:
            seen[(await read_request(reader))["chat_id"]] += 1
            if dice.random() < 0.2:
                return
            writer.write(answer())
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)

    outcomes: dict[int, SendResult] = {}
    async with telegram(script) as url, api(url, connections=8) as bot:

        async def client(number: int) -> None:
            for chat in range(number * 1_000 + 1, number * 1_000 + 101):
                outcomes[chat] = await bot.send(TOKEN, chat, HELLO, paid=False)

        await asyncio.gather(*(client(number) for number in range(8)))
    kinds = Counter(type(result) for result in outcomes.values())
    assert kinds[Delivered] > 100
    assert kinds[NoAnswer] > 100
    assert max(seen.values()) == 1
    for chat, result in outcomes.items():
        assert seen[chat] == 1 or not isinstance(result, Delivered)
        assert seen[chat] == 0 or not isinstance(result, NotConnected)


async def test_a_cancelled_send_is_written_no_more_than_once_and_others_go_on() -> None:
    seen: list[int] = []
    arrived = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            chat = (await read_request(reader))["chat_id"]
            seen.append(chat)
            arrived.set()
            if chat != 1:
                writer.write(answer())

    async with telegram(script) as url, api(url, connections=2) as bot:
        hanging = asyncio.create_task(bot.send(TOKEN, 1, HELLO, paid=False))
        await arrived.wait()
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert [await bot.send(TOKEN, chat, HELLO, paid=False) for chat in (2, 3)] == [Delivered(7)] * 2
    assert seen == [1, 2, 3]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())

    assert await sent_to(script) == Delivered(7)


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "telegram")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "telegram.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_is_checked_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    pem = certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    seen = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await read_request(reader)
        seen += 1
        writer.write(answer())

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    async with telegram(script, ssl=context) as url, api(url) as bot:
        assert await bot.send(TOKEN, 42, HELLO, paid=False) == (Delivered(7) if trusted else NotConnected())
    assert seen == trusted


async def test_a_handshake_that_hangs_is_not_connected() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with telegram(script) as url, api(url.replace("http:", "https:"), connect=0.2) as bot:
        assert await bot.send(TOKEN, 42, HELLO, paid=False) == NotConnected()
