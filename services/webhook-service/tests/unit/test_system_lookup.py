"""How names are resolved: by real questions to a name server of the test's own on loopback."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

import pytest
from service_kit.testing.waiting import eventually
from webhook_service.adapters.targets import SystemLookup
from webhook_service.testing.network import on_each_loop

A, AAAA, NXDOMAIN = 1, 28, 3


class NameServer(asyncio.DatagramProtocol):
    """Answers as the name says: `hanging…` never, `gone…` that there is none, `both…` in v4 and v6, else in v4.

    The n-th answer for a name is 10.0.0.n, valid for `ttl` seconds.
    """

    def __init__(self, ttl: int) -> None:
        self.ttl, self.asked = ttl, Counter[str]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        # Between the labels stand their lengths, where people write dots.
        name = "".join(letter if letter.isprintable() else "." for letter in data[13 : end - 5].decode())
        kind = int.from_bytes(data[end - 4 : end - 2])
        if kind == A:
            self.asked[name] += 1
        if name.startswith("hanging"):
            return
        found: list[bytes] = []
        if kind == A and not name.startswith("gone"):
            found = [ip_address(f"10.0.0.{self.asked[name]}").packed]
        if kind == AAAA and name.startswith("both"):
            found = [ip_address("2606:4700::1").packed]
        code = NXDOMAIN if name.startswith("gone") else 0
        head = data[:2] + bytes([0x81, 0x80 | code, 0, 1, 0, len(found), 0, 0, 0, 0]) + data[12:end]
        answers = [
            b"\xc0\x0c" + kind.to_bytes(2) + b"\0\1" + self.ttl.to_bytes(4) + len(raw).to_bytes(2) + raw
            for raw in found
        ]
        self._transport.sendto(head + b"".join(answers), addr)


@asynccontextmanager
async def resolving(ttl: int = 0) -> AsyncIterator[tuple[SystemLookup, NameServer]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(ttl), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    lookup = SystemLookup([f"127.0.0.1:{port}"])
    yield lookup, server
    await lookup.close()
    transport.close()


@on_each_loop
async def test_a_host_has_the_addresses_of_both_families():
    async with resolving() as (lookup, _):
        assert await lookup("plain.example", 443) == ["10.0.0.1"]
        assert sorted(await lookup("both.example", 443)) == ["10.0.0.1", "2606:4700::1"]


@on_each_loop
async def test_an_answer_without_a_lifetime_is_asked_for_anew_and_another_one_kept():
    async with resolving(ttl=0) as (lookup, server):
        assert [await lookup("a.example", 443) for _ in range(3)] == [
            ["10.0.0.1"],
            ["10.0.0.2"],
            ["10.0.0.3"],
        ]
    async with resolving(ttl=300) as (lookup, server):
        assert [await lookup("a.example", 443) for _ in range(3)] == [["10.0.0.1"]] * 3
        assert server.asked["a.example"] == 1


@on_each_loop
async def test_a_host_without_addresses_is_an_error_and_localhost_is_this_machine():
    async with resolving() as (lookup, _):
        with pytest.raises(OSError, match="does not resolve"):
            await lookup("gone.example", 443)
        assert set(await lookup("localhost", 443)) <= {"127.0.0.1", "::1"}


@on_each_loop
async def test_names_whose_servers_are_silent_delay_no_other():
    async with resolving() as (lookup, server):
        hanging = [asyncio.create_task(lookup(f"hanging{number}.example", 443)) for number in range(60)]
        await eventually(lambda: _asked(server), lambda seen: seen == 60, seconds=10, every=0.01)
        assert await asyncio.gather(*(lookup(f"b{number}.example", 443) for number in range(50)))
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def _asked(server: NameServer) -> int:
    return len(server.asked)
