"""Posting to a real server: the request and its signature, and why there was no answer."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_service.testing.network import (
    BODY,
    OK,
    SECRET,
    Names,
    answering,
    on_each_loop,
    opened,
    post,
    subscriber,
)

LOOPBACK = ["127.0.0.1"]


def headers_of(head: str) -> dict[str, str]:
    lines = head.rstrip("\r\n").split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


@on_each_loop
async def test_a_subscriber_verifies_the_signature_with_the_standard_library():
    async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK)) as sender:
        answer = await post(sender, server.url(path="/hooks/é?key=a b&x=%26".replace(" ", "%20")))
    assert (answer.status_code, answer.error, answer.body) == (200, None, "thanks")
    (head,) = server.heads
    assert head.startswith("POST /hooks/%C3%A9?key=a%20b&x=%26 HTTP/1.1\r\n")
    got = headers_of(head)
    assert Webhook(SECRET).verify(BODY, got) == json.loads(BODY)
    assert got["webhook-id"] == "evt_1"
    assert got["Host"] == f"hook.example:{server.port}"
    assert got["Content-Type"] == "application/json"
    assert got["Content-Length"] == str(len(BODY))
    assert got["User-Agent"].startswith("Campaigns-Webhooks/")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", got)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(BODY, got)


@on_each_loop
async def test_while_secrets_overlap_a_subscriber_with_either_one_verifies():
    older, unknown = "whsec_" + "B" * 32, "whsec_" + "C" * 32
    async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK)) as sender:
        await sender.send(
            server.url(), secrets=[SECRET, older], message_id="evt_1", at=datetime.now(UTC), body=BODY,
            headers={"X-Team": "growth", "Authorization": "Bearer t"},
        )  # fmt: skip
    got = headers_of(server.heads[0])
    assert len(got["webhook-signature"].split(" ")) == 2
    for valid in (SECRET, older):
        assert Webhook(valid).verify(BODY, got) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(unknown).verify(BODY, got)
    assert (got["X-Team"], got["Authorization"]) == ("growth", "Bearer t")


@pytest.mark.parametrize(
    "value", ["a\r\nX-Evil: yes", "a\nb", "a\rb", "a\0b", "é", "a\r\n\r\nGET / HTTP/1.1"]
)
def test_a_header_that_would_end_before_its_line_is_not_sent(value: str):
    @on_each_loop
    async def scenario() -> None:
        async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK)) as sender:
            for headers in ({"X-A": value}, {value: "x"}):
                answer = await post(sender, server.url(), headers=headers)
                assert answer.error == "a header of the endpoint cannot be sent"
        assert server.connections == 0

    scenario()


@on_each_loop
async def test_a_proxy_in_the_environment_is_not_used():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            patch.setenv(name, "http://127.0.0.1:1")
        async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK)) as sender:
            assert (await post(sender, server.url())).status_code == 200


@on_each_loop
async def test_a_password_in_the_netrc_file_is_not_sent(tmp_path_factory: pytest.TempPathFactory):
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine hook.example login me password secret\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETRC", str(netrc))
        async with subscriber(answering(OK)) as server, opened(Names(LOOPBACK)) as sender:
            await post(sender, server.url())
    assert "authorization" not in server.heads[0].lower()


@on_each_loop
async def test_a_cookie_is_not_kept():
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n"
    async with subscriber(answering(cookie)) as server, opened(Names(LOOPBACK)) as sender:
        for _ in range(2):
            await post(sender, server.url())
    assert "cookie" not in server.heads[1].lower()


@on_each_loop
async def test_why_there_is_no_answer_is_told_without_our_network():
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("[Errno -2] Name or service not known via 10.0.0.2")

    async def silent(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return LOOPBACK

    async with subscriber(answering(OK)) as server:
        gone = server.url()
    async with opened(Names(LOOPBACK)) as sender:
        assert (await post(sender, gone)).error == "the connection could not be made"
    async with opened(unknown) as sender:
        assert (await post(sender, "http://gone.example/")).error == "the host does not resolve"
    async with opened(Names([])) as sender:
        assert (await post(sender, "http://gone.example/")).error == "the host does not resolve"
    async with opened(silent, seconds=0.1) as sender:
        assert (await post(sender, "http://slow.example/")).error == "no complete answer within 0.1 s"
