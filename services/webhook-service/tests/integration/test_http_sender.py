"""Posting to a real server: the signature, redirects, deadlines, and the guard at every connection."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_service.adapters.http_sender import HttpSender, open_session
from webhook_service.adapters.targets import Lookup, NetworkTargets
from webhook_service.domain.delivery import Answer

pytestmark = pytest.mark.integration
BODY = '{"type":"campaign.created","data":{"name":"Été ☀️"}}'.encode()


class Names:
    """A name server that answers `answers` one after another, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def opened(lookup: Lookup, *, allow_private: bool, seconds: float = 5) -> AsyncIterator[HttpSender]:
    session = open_session(lookup=lookup, allow_private=allow_private, connections=10)
    targets = NetworkTargets(allow_private=allow_private, lookup=lookup, seconds=1)
    async with session:
        yield HttpSender(session, targets=targets, seconds=seconds)


@pytest.fixture
def post(secret: str) -> Callable[..., Any]:
    async def send(sender: HttpSender, url: str, *, at: datetime | None = None) -> Answer:
        return await sender.send(
            url, secrets=[secret], message_id="evt_1", at=at or datetime.now(UTC), body=BODY, headers={}
        )

    return send


def development(**changes: Any) -> AbstractAsyncContextManager[HttpSender]:
    return opened(Names(["127.0.0.1"]), allow_private=True, **changes)


async def test_a_subscriber_verifies_the_signature_with_the_standard_library(
    sink: Any, post: Any, secret: str
):
    async with development() as sender:
        answer = await post(sender, sink.url())
    assert (answer.status_code, answer.error, answer.body) == (200, None, "thanks")
    (got,) = sink.received
    assert got.body == BODY
    assert Webhook(secret).verify(got.body, got.headers) == json.loads(BODY)
    assert got.headers["webhook-id"] == "evt_1"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"].startswith("Campaigns-Webhooks/")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(got.body + b" ", got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(got.body, got.headers)


async def test_while_secrets_overlap_a_subscriber_with_either_one_verifies(sink: Any, secret: str):
    older, unknown = "whsec_" + "B" * 32, "whsec_" + "C" * 32
    async with development() as sender:
        await sender.send(
            sink.url(), secrets=[secret, older], message_id="evt_1", at=datetime.now(UTC), body=BODY,
            headers={"X-Team": "growth", "Authorization": "Bearer t"},
        )  # fmt: skip
    (got,) = sink.received
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for valid in (secret, older):
        assert Webhook(valid).verify(got.body, got.headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(unknown).verify(got.body, got.headers)
    assert (got.headers["X-Team"], got.headers["Authorization"]) == ("growth", "Bearer t")


async def test_a_redirect_is_not_followed(sink: Any, post: Any):
    async with development() as sender:
        answer = await post(sender, sink.url("/redirect"))
    assert answer.status_code == 302
    assert [item.path for item in sink.received] == ["/redirect"]


async def test_a_subscriber_that_hangs_ends_at_the_deadline(sink: Any, post: Any):
    async with development(seconds=0.2) as sender:
        answer = await post(sender, sink.url("/hang"))
    assert (answer.status_code, answer.error) == (None, "no complete answer within 0.2 s")
    assert answer.duration_ms >= 200


async def test_of_a_long_answer_only_the_beginning_is_read(sink: Any, post: Any):
    sink.answer_body = b"x" * 5_000_000
    async with development() as sender:
        answer = await post(sender, sink.url())
    assert (answer.status_code, answer.body) == (200, "x" * 16_384)


async def test_retry_after_is_handed_on_as_it_came(sink: Any, post: Any):
    sink.answer_headers = {"Retry-After": "17"}
    async with development() as sender:
        assert (await post(sender, sink.url("/status/503"))).retry_after == "17"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "https://127.0.0.1:{port}/"]
)
async def test_a_private_address_as_a_literal_is_never_connected_to(sink: Any, post: Any, url: str):
    async with opened(Names(["127.0.0.1"]), allow_private=False) as sender:
        answer = await post(sender, url.format(port=sink.port))
    assert answer.status_code is None
    assert answer.error is not None and answer.error.startswith("url: must be")
    assert not sink.connections


async def test_a_socket_to_a_private_address_is_refused_even_when_all_other_guards_are_passed(
    sink: Any, post: Any
):
    lookup = Names(["127.0.0.1"])
    async with open_session(lookup=lookup, allow_private=False, connections=1) as session:
        blind = NetworkTargets(allow_private=True, lookup=lookup, seconds=1)
        sender = HttpSender(session, targets=blind, seconds=5)
        answers = [await post(sender, sink.url(host=host)) for host in ("127.0.0.1", "hook.example")]
    assert [item.error for item in answers] == ["the address is not allowed"] * 2
    assert not sink.connections


async def test_a_name_that_turns_private_after_creation_is_not_connected_to(sink: Any, post: Any):
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    url = f"https://rebind.example:{sink.port}/"
    await NetworkTargets(allow_private=False, lookup=names, seconds=1).check(url)
    async with opened(names, allow_private=False) as sender:
        answer = await post(sender, url)
    assert answer.error == "the address is not allowed"
    assert names.asked == 2
    assert not sink.connections


async def test_a_connection_goes_to_the_address_that_was_vetted_and_asks_no_second_time(sink: Any, post: Any):
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    async with opened(names, allow_private=True) as sender:
        answer = await post(sender, sink.url(host="hook.example"))
    assert answer.status_code == 200
    assert names.asked == 1
    assert sink.received[0].headers["Host"] == f"hook.example:{sink.port}"


async def test_a_proxy_in_the_environment_is_not_used(sink: Any, post: Any, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with development() as sender:
        assert (await post(sender, sink.url())).status_code == 200


async def test_why_there_is_no_answer_is_told_without_our_network(unused_port: int, post: Any):
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("[Errno -2] Name or service not known via 10.0.0.2")

    async with development() as sender:
        assert (
            await post(sender, f"http://127.0.0.1:{unused_port}/")
        ).error == "the connection could not be made"
    async with opened(unknown, allow_private=True) as sender:
        assert (await post(sender, "http://gone.example/")).error == "the host does not resolve"


async def test_a_server_that_speaks_no_http_or_hangs_up_fails_the_attempt(post: Any):
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readline()
        writer.write(b"hello\r\n\r\n" if b"/talk" in head else b"")
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with development() as sender:
        talk = await post(sender, f"http://127.0.0.1:{port}/talk")
        hang_up = await post(sender, f"http://127.0.0.1:{port}/quiet")
    server.close()
    assert talk.error == "the answer was not HTTP"
    assert hang_up.error in ("the connection was closed without an answer", "the connection broke")
