"""TLS to the vetted address: the host's name is asked for, and the certificate must be trusted and the host's."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from service_kit.testing.waiting import eventually
from webhook_service.adapters.http_client import trusting_the_system
from webhook_service.testing.network import (
    OK,
    Names,
    Subscriber,
    answering,
    on_each_loop,
    opened,
    post,
    subscriber,
)

LOOPBACK = ["127.0.0.1"]
Asked = list[str | None]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    """The client's own settings, on a system that trusts `authority`."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield trusting_the_system()


def serving(authority: trustme.CA, *names: str, **validity: datetime) -> tuple[ssl.SSLContext, Asked]:
    """A server's side with a certificate for `names`, and the names that it is asked for."""
    context, asked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Asked()
    authority.issue_cert(*names, **validity).configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    return context, asked


@on_each_loop
async def test_the_named_host_is_asked_for_at_the_vetted_address_and_a_connection_is_kept(
    authority: trustme.CA, trusting: ssl.SSLContext
):
    tls, asked = serving(authority, "hook.example", "xn--bcher-kva.example")
    async with subscriber(answering(OK), tls=tls) as server, opened(Names(LOOPBACK), tls=trusting) as sender:
        for host in ("hook.example", "HOOK.example", "bücher.example"):
            answer = await post(sender, f"https://{host}:{server.port}/")
            assert (answer.status_code, answer.error) == (200, None)
        assert (await post(sender, f"https://hook.example.:{server.port}/")).status_code == 200
    assert asked == ["hook.example", "xn--bcher-kva.example", "hook.example"]
    assert server.connections == 3


@on_each_loop
async def test_an_address_as_a_host_needs_a_certificate_of_its_own(
    authority: trustme.CA, trusting: ssl.SSLContext
):
    for names, status in [(["127.0.0.1"], 200), (["hook.example"], None)]:
        tls, asked = serving(authority, *names)
        async with subscriber(answering(OK), tls=tls) as server, opened(Names([]), tls=trusting) as sender:
            answer = await post(sender, f"https://127.0.0.1:{server.port}/")
        assert answer.status_code == status
        assert asked == [None]


NOW = datetime.now(UTC)
WRONG: dict[str, tuple[list[str], dict[str, datetime]]] = {
    "another host's": (["other.example"], {}),
    "a subdomain's": (["sub.hook.example"], {}),
    "a wildcard of below": (["*.hook.example"], {}),
    "the address's": (["127.0.0.1"], {}),
    "expired": (["hook.example"], {"not_before": NOW - timedelta(9), "not_after": NOW - timedelta(1)}),
    "of the future": (["hook.example"], {"not_before": NOW + timedelta(1), "not_after": NOW + timedelta(9)}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_certificate_that_is_not_the_hosts_of_today_is_refused_before_anything_is_sent(
    what: str, authority: trustme.CA, trusting: ssl.SSLContext
):
    names, validity = WRONG[what]

    @on_each_loop
    async def scenario() -> None:
        tls, _ = serving(authority, *names, **validity)
        async with (
            subscriber(answering(OK), tls=tls) as server,
            opened(Names(LOOPBACK), tls=trusting) as sender,
        ):
            answer = await post(sender, f"https://hook.example:{server.port}/")
        assert answer.error is not None and answer.error.startswith("the certificate was refused: ")
        assert server.heads == []

    scenario()


@on_each_loop
async def test_a_certificate_of_an_unknown_authority_is_refused(trusting: ssl.SSLContext):
    tls, _ = serving(trustme.CA(), "hook.example")
    async with subscriber(answering(OK), tls=tls) as server, opened(Names(LOOPBACK), tls=trusting) as sender:
        answer = await post(sender, f"https://hook.example:{server.port}/")
    assert answer.error is not None and answer.error.startswith("the certificate was refused: ")
    assert server.heads == []


@on_each_loop
async def test_a_server_that_speaks_no_tls_or_only_an_old_one_is_refused(
    authority: trustme.CA, trusting: ssl.SSLContext
):
    async with (
        subscriber(answering(OK)) as server,
        opened(Names(LOOPBACK), tls=trusting, seconds=1) as sender,
    ):
        answer = await post(sender, f"https://hook.example:{server.port}/")
        assert answer.status_code is None

    async def plain(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read(1)

    async def rude(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    for handle in (plain, rude):
        async with subscriber(handle) as server, opened(Names(LOOPBACK), tls=trusting) as sender:
            answer = await post(sender, f"https://hook.example:{server.port}/")
        assert answer.error == "the TLS handshake failed"
    old, _ = serving(authority, "hook.example")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with subscriber(answering(OK), tls=old) as server, opened(Names(LOOPBACK), tls=trusting) as sender:
        answer = await post(sender, f"https://hook.example:{server.port}/")
    assert answer.error == "the TLS handshake failed"


@on_each_loop
async def test_a_handshake_that_hangs_or_drips_ends_at_the_total_deadline_and_so_does_its_connection(
    authority: trustme.CA, trusting: ssl.SSLContext
):
    tls, _ = serving(authority, "hook.example")

    async def silent(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass

    async def dripping(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outer, inner = ssl.MemoryBIO(), ssl.MemoryBIO()
        handshake = tls.wrap_bio(outer, inner, server_side=True)
        outer.write(await reader.read(65_536))
        with pytest.raises(ssl.SSLWantReadError):
            handshake.do_handshake()
        for byte in inner.read():
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)
        raise AssertionError("the whole of the server's hello was taken")

    for handle in (silent, dripping):
        async with subscriber(handle) as server, opened(Names(LOOPBACK), tls=trusting, seconds=0.3) as sender:
            answer = await post(sender, f"https://hook.example:{server.port}/")
            assert (answer.status_code, answer.error) == (None, "no complete answer within 0.3 s")
            await eventually(lambda: _ended(server), lambda seen: seen == 1, seconds=10, every=0.01)


@on_each_loop
async def test_a_subscriber_that_says_no_goodbye_holds_its_connection_no_longer_than_the_deadline(
    authority: trustme.CA, trusting: ssl.SSLContext
):
    tls, _ = serving(authority, "hook.example")

    async def silent(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken, given = ssl.MemoryBIO(), ssl.MemoryBIO()
        session, shaken = tls.wrap_bio(taken, given, server_side=True), False
        while data := await reader.read(65_536):
            taken.write(data)
            with suppress(ssl.SSLWantReadError):
                if not shaken:
                    session.do_handshake()
                    shaken = True
            writer.write(given.read())

    async with subscriber(silent) as server, opened(Names(LOOPBACK), tls=trusting, seconds=0.3) as sender:
        answer = await post(sender, f"https://hook.example:{server.port}/")
        assert answer.error == "no complete answer within 0.3 s"
        await eventually(lambda: _ended(server), lambda seen: seen == 1, seconds=10, every=0.01)


async def _ended(server: Subscriber) -> int:
    return server.ended


@on_each_loop
async def test_a_subscriber_that_accepts_no_connection_ends_at_the_total_deadline(trusting: ssl.SSLContext):
    # A full backlog: the kernel leaves what comes then without an answer.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers: list[Any] = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with opened(Names(LOOPBACK), tls=trusting, seconds=0.3) as sender:
            answer = await post(sender, f"https://hook.example:{listener.getsockname()[1]}/")
        for filler in fillers:
            filler.close()
    assert answer.error == "no complete answer within 0.3 s"
