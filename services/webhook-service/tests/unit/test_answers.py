"""What a subscriber may answer: how much of it is read, for how long, and what of it counts."""

import asyncio
import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from service_kit.testing.waiting import eventually
from webhook_service.adapters.http_connection import HttpConnection
from webhook_service.testing.network import (
    OK,
    Names,
    Subscriber,
    answering,
    on_each_loop,
    opened,
    post,
    read_request,
    subscriber,
)

LOOPBACK = ["127.0.0.1"]
LIMIT = 32 * 2**20
"""More than the sockets' buffers hold and the limits allow, much less than what is offered."""
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@on_each_loop
async def test_of_an_answer_of_ten_gigabytes_only_the_beginning_is_read():
    sent = 0

    async def handle(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(state, reader)
        writer.write(HEAD + b"Content-Length: 10737418240\r\n\r\n")
        while sent < 10 * 2**30:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    async with subscriber(handle) as server, opened(Names(LOOPBACK)) as sender:
        answer = await post(sender, server.url())
        assert (answer.status_code, answer.error, answer.body) == (200, None, "x" * 16_384)
        await eventually(lambda: _count(server), lambda seen: seen == 1, seconds=10, every=0.01)
    assert sent < LIMIT


async def _count(server: Subscriber) -> int:
    return server.ended


@on_each_loop
async def test_a_compressed_answer_is_not_unpacked():
    bomb = gzip.compress(bytes(50_000_000), 9)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with subscriber(answering(head + bomb)) as server, opened(Names(LOOPBACK)) as sender:
        answer = await post(sender, server.url())
    assert "Accept-Encoding: identity" in server.heads[0]
    assert answer.status_code == 200
    assert answer.body == bomb[:16_384].decode("utf-8", errors="replace")


def _for_ever(first: bytes, part: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield part * (65_536 // len(part))


@pytest.mark.parametrize(
    ("first", "part", "error"),
    [
        (HEAD, b"X-More: of the same\r\n", "the answer's headers are too long"),
        (HEAD + b"X-Long: ", b"x", "the answer's headers are too long"),
        (HEAD, b"x", "the answer's headers are too long"),
        (b"HTTP/1.1 200 ", b"O", "the answer's headers are too long"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "the answer's headers are too long"),
        (b"", b"x", "the answer was not HTTP"),
        (b"", b"\r\n", "the answer's headers are too long"),
        # The status is known and the limit reached: it counts, as with a long body.
        (CHUNKED + b"5;", b"x", None),
        (CHUNKED + b"0\r\n", b"X-Trailer: more\r\n", None),
        (CHUNKED, b"1\r\nx\r\n", None),
    ],
)
def test_an_answer_without_end_stops_at_the_limit(first: bytes, part: bytes, error: str | None):
    sent = 0

    async def handle(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(state, reader)
        for piece in _for_ever(first, part):
            writer.write(piece)
            sent += len(piece)
            await writer.drain()

    @on_each_loop
    async def scenario() -> None:
        nonlocal sent
        sent = 0
        async with subscriber(handle) as server, opened(Names(LOOPBACK)) as sender:
            answer = await post(sender, server.url())
            assert (answer.error, answer.status_code) == (error, None if error else 200)
            await eventually(lambda: _count(server), lambda seen: seen == 1, seconds=10, every=0.01)
        assert sent < LIMIT

    scenario()


DRIPS = {
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "more and more headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing": (b"", b""),
}


@on_each_loop
async def test_an_answer_that_drips_ends_at_the_total_deadline_and_so_does_its_connection():
    def dripping(first: bytes, drop: bytes) -> Any:
        async def handle(
            state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await read_request(state, reader)
            writer.write(first)
            while not reader.at_eof() and not writer.is_closing():
                writer.write(drop)
                await asyncio.sleep(0.02)

        return handle

    async def ends(what: str) -> None:
        async with (
            subscriber(dripping(*DRIPS[what])) as server,
            opened(Names(LOOPBACK), seconds=0.3) as sender,
        ):
            answer = await post(sender, server.url())
            assert (what, answer.status_code, answer.error) == (what, None, "no complete answer within 0.3 s")
            await eventually(lambda: _count(server), lambda seen: seen == 1, seconds=10, every=0.01)

    await asyncio.gather(*map(ends, DRIPS))


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


@on_each_loop
async def test_a_deadline_in_the_very_turn_of_the_answer_leaves_no_connection_open():
    wire, connection = Wire(), HttpConnection("127.0.0.1")
    connection.connection_made(wire)
    exchange = asyncio.create_task(connection.exchange(b"POST"))
    await asyncio.sleep(0)
    connection.data_received(OK)
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange
    assert wire.aborted and connection.closed and not connection.reusable


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, ""),
        ([b"HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n", OK], 200, "thanks"),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK], 200, "thanks"),
        ([b"HTTP/1.1 201 Created\r\n\r\nuntil the end"], 201, "until the end"),
        ([b"HTTP/1.0 200 OK\r\n\r\nold"], 200, "old"),
        ([HEAD + b"Transfer-Encoding: identity\r\n\r\nuntil the end"], 200, "until the end"),
        ([HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\nuntil the end"], 200, "until the end"),
        ([CHUNKED, b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n", b"0\r\nX: y\r\n\r\n"], 200, "abcde"),
        ([bytes([byte]) for byte in OK], 200, "thanks"),
        ([b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n\xff\xfe"], 500, "\ufffd\ufffd"),
        ([b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"], 302, ""),
        ([b"HTTP/1.1 307 Again\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"], 307, ""),
    ],
)
def test_an_answer_counts_however_it_is_framed_and_a_redirect_leads_nowhere(
    parts: list[bytes], status: int, body: str
):
    @on_each_loop
    async def scenario() -> None:
        async with subscriber(answering(*parts, close=True)) as server, opened(Names(LOOPBACK)) as sender:
            answer = await post(sender, server.url())
        assert (answer.status_code, answer.body, answer.error, answer.retry_after) == (
            status,
            body,
            None,
            None,
        )
        assert len(server.heads) == server.connections == 1

    scenario()


@pytest.mark.parametrize(
    ("answered", "error"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "the answer broke off"),
        (CHUNKED + b"9\r\nhalf", "the answer broke off"),
        (HEAD + b"Transfer-Encoding: gzip, Chunked\r\n\r\n9\r\nhalf", "the answer broke off"),
        (CHUNKED + b"0\r\nTransfer-Encoding: identity\r\n", "the answer broke off"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the answer broke off"),
        (b"hello\r\n\r\n", "the answer was not HTTP"),
        (b"HTTP/1.1 20x OK\r\n\r\n", "the answer was not HTTP"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: ws\r\nConnection: upgrade\r\n\r\nxxxx", "the answer was not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "the answer was not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "the answer was not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "the answer was not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "the answer was not HTTP"),
        (CHUNKED + b"fffffffffffffffffffff\r\n", "the answer was not HTTP"),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_says_so(answered: bytes, error: str):
    @on_each_loop
    async def scenario() -> None:
        async with subscriber(answering(answered, close=True)) as server, opened(Names(LOOPBACK)) as sender:
            answer = await post(sender, server.url())
        assert (answer.status_code, answer.error) == (None, error)
        assert server.connections == 1

    scenario()


@on_each_loop
async def test_retry_after_is_handed_on_but_for_endless_ones():
    def busy(value: bytes) -> bytes:
        return b"HTTP/1.1 503 Busy\r\nretry-after: %s\r\nContent-Length: 0\r\n\r\n" % value

    two = b"%s\r\nRetry-After: %s"
    later, sooner = b"Fri, 31 Dec 9999 23:59:59 GMT", b"17"
    for value, seen in [
        (b"17", "17"),
        (two % (later, sooner), later.decode()),
        (two % (sooner, later), later.decode()),
        (two % (b"soon", sooner), "17"),
        (b"9" * 60_000, "9" * 200),
        (b"\xff", "\xff"),
    ]:
        async with subscriber(answering(busy(value))) as server, opened(Names(LOOPBACK)) as sender:
            assert (await post(sender, server.url())).retry_after == seen
