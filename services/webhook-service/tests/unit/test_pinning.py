"""Which address a post goes to: one that was vetted for that very post, and no other."""

import asyncio

import pytest
from service_kit.testing.waiting import eventually
from webhook_service.adapters.guarded_connections import AddressRefused, guarded_sockets
from webhook_service.adapters.http_client import HttpClient, Origin, trusting_the_system
from webhook_service.adapters.targets import NetworkTargets
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
PUBLIC = ["93.184.215.14"]


@on_each_loop
async def test_a_private_address_as_a_literal_is_never_connected_to():
    async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK), allow_private=False) as sender:
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "2130706433", "127.1"):
            for scheme in ("http", "https"):
                answer = await post(sender, f"{scheme}://{host}:{server.port}/")
                assert answer.status_code is None
                assert answer.error is not None and answer.error.startswith("url: must ")
    assert server.connections == 0


@on_each_loop
async def test_a_name_that_turns_private_after_creation_is_not_connected_to():
    names = Names(PUBLIC, LOOPBACK)
    async with subscriber(answering(OK)) as server:
        url = f"https://rebind.example:{server.port}/"
        await NetworkTargets(allow_private=False, lookup=names, seconds=1).check(url)
        async with opened(names, allow_private=False) as sender:
            answer = await post(sender, url)
    assert answer.error == "the address is not allowed"
    assert names.asked == 2
    assert server.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"],
        ["127.0.0.1", "169.254.169.254"],
        ["fe80::1%lo", "127.0.0.1"],
        ["::ffff:169.254.169.254"],
        ["64:ff9b::7f00:1"],
        ["not an address"],
        ["localhost"],
    ],
)
def test_one_address_that_is_not_allowed_refuses_the_name(addresses: list[str]):
    @on_each_loop
    async def scenario() -> None:
        async with subscriber(answering(OK)) as server, opened(Names(addresses)) as sender:
            answer = await post(sender, server.url())
        assert answer.error == "the address is not allowed"
        assert server.connections == 0

    scenario()


@on_each_loop
async def test_a_connection_goes_to_the_address_that_was_vetted_and_asks_no_second_time():
    names = Names(LOOPBACK, ["192.0.2.1"])
    async with subscriber(answering(OK)) as server, opened(names) as sender:
        answer = await post(sender, server.url())
    assert answer.status_code == 200
    assert names.asked == 1


@on_each_loop
async def test_each_attempt_asks_again_even_where_a_connection_is_kept():
    names = Names(LOOPBACK, LOOPBACK, ["169.254.169.254"])
    async with subscriber(answering(OK)) as server, opened(names) as sender:
        answers = [await post(sender, server.url()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, None]
        assert answers[2].error == "the address is not allowed"
        assert server.connections == 1
    assert len(server.heads) == 2


@on_each_loop
async def test_a_kept_connection_to_an_address_that_is_no_answer_any_more_is_closed():
    names = Names(LOOPBACK, ["127.0.0.2"])
    async with (
        opened(names) as sender,
        subscriber(answering(OK)) as first,
        subscriber(answering(OK), host="127.0.0.2", port=first.port) as second,
    ):
        answers = [await post(sender, first.url()) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert (first.connections, second.connections) == (1, 1)
        assert (len(first.heads), len(second.heads)) == (1, 1)
        await eventually(lambda: _ended(first), lambda seen: seen == 1, seconds=10, every=0.01)


async def _ended(server: Subscriber) -> int:
    return server.ended


@on_each_loop
async def test_a_kept_connection_serves_its_own_host_and_port_only():
    async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK)) as sender:
        for host in ("a.example", "b.example", "a.example", "a.example."):
            assert (await post(sender, server.url(host))).status_code == 200
    assert server.connections == 3
    assert [head.split("Host: ")[1].split(":")[0] for head in server.heads] == [
        "a.example", "b.example", "a.example", "a.example"
    ]  # fmt: skip


@on_each_loop
async def test_of_several_allowed_addresses_the_one_that_answers_is_used():
    async with (
        subscriber(answering(OK)) as server,
        opened(Names(["::1", "127.0.0.3", "127.0.0.1"])) as sender,
    ):
        assert (await post(sender, server.url())).status_code == 200
    assert server.connections == 1


@on_each_loop
async def test_a_socket_to_a_private_address_is_refused_whoever_asks_for_it():
    async def blind(host: str, port: int) -> list[str]:
        return PUBLIC

    async with subscriber(answering(OK)) as server:
        make = guarded_sockets(allow_private=False)
        for address in [("127.0.0.1", server.port), ("::ffff:127.0.0.1", server.port, 0, 0)]:
            with pytest.raises(AddressRefused):
                make((2, 1, 6, "", address))
        async with HttpClient(lookup=blind, allow_private=False, idle=1, tls=trusting_the_system()) as client:
            origin = Origin(False, "hook.example", server.port)
            with pytest.raises(Exception, match="the address is not allowed"):
                await client._connect(origin, ["127.0.0.1"])
    assert server.connections == 0


@on_each_loop
async def test_a_kept_connection_that_the_subscriber_closed_costs_no_attempt():
    async def once(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(state, reader)
        writer.write(OK)
        if state.connections > 1:
            return
        await reader.readexactly(1)  # the next request; this connection answers no more

    async with subscriber(once) as server, opened(Names(LOOPBACK)) as sender:
        answers = [await post(sender, server.url()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert server.connections == 2


@on_each_loop
async def test_a_new_connection_that_is_closed_without_an_answer_is_not_repeated():
    async def never(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(state, reader)

    async with subscriber(never) as server, opened(Names(LOOPBACK)) as sender:
        answer = await post(sender, server.url())
    assert answer.error == "the connection was closed without an answer"
    assert server.connections == 1


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        OK + b"rubbish",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
    ],
)
def test_a_connection_of_which_anything_is_in_doubt_is_not_kept(answered: bytes):
    @on_each_loop
    async def scenario() -> None:
        async with subscriber(answering(answered)) as server, opened(Names(LOOPBACK)) as sender:
            answers = [await post(sender, server.url()) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert "evil" not in (answers[0].body or "") + (answers[1].body or "")
            assert server.connections == 2
            await eventually(lambda: _ended(server), lambda seen: seen == 2, seconds=10, every=0.01)

    scenario()


@on_each_loop
async def test_an_answer_that_comes_unasked_between_two_posts_is_not_taken_for_the_next():
    sent = asyncio.Event()

    async def forward(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(state, reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 500 Not yours\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        sent.set()
        await read_request(state, reader)
        writer.write(OK)

    async with subscriber(forward) as server, opened(Names(LOOPBACK)) as sender:
        assert (await post(sender, server.url())).status_code == 200
        await asyncio.wait_for(sent.wait(), 10)
        assert (await post(sender, server.url())).status_code == 200
    assert server.connections == 2


@on_each_loop
async def test_no_more_connections_are_kept_than_asked_for_and_none_at_the_end():
    async with subscriber(answering(OK)) as server:
        async with opened(Names(LOOPBACK)) as sender:
            answers = await asyncio.gather(*(post(sender, server.url(f"h{n}.example")) for n in range(15)))
            assert {answer.status_code for answer in answers} == {200}
            await eventually(lambda: _ended(server), lambda seen: seen == 5, seconds=10, every=0.01)
        await eventually(lambda: _ended(server), lambda seen: seen == 15, seconds=10, every=0.01)
