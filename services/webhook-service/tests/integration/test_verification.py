"""What a local server received is verified by the packages that subscribers use, in Python and in Node.js."""

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_service.application.attempt_delivery import AttemptDelivery, Taken
from webhook_service.domain.delivery import Status
from webhook_service.testing.network import Names, opened

pytestmark = pytest.mark.integration
BODY = '{"type":"campaign.created","data":{"name":"Été ☀️ \\u0000 </script>"}}'.encode()
NEW, OLD, FOREIGN = ("whsec_" + letter * 32 for letter in "ABC")
VERIFIER = """
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
const results = JSON.parse(readFileSync(0, "utf8")).map(({ secret, headers, body }) => {
  try { return new Webhook(secret).verify(body, headers); } catch (error) { return error.constructor.name; }
});
console.log(JSON.stringify(results));
"""


@pytest.fixture
async def received(sink: Any) -> dict[str, Any]:
    """The request of one delivery while the secrets overlap, as a server got it."""
    async with opened(Names(["127.0.0.1"])) as sender:
        for at in (datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=6)):
            await sender.send(
                sink.url(), secrets=[NEW, OLD], message_id="evt_1", at=at, body=BODY, headers={"X-Team": "a"}
            )
    fresh, late = sink.received
    return {"fresh": dict(fresh.headers), "late": dict(late.headers), "body": fresh.body}


def in_python(secret: str, headers: dict[str, str], body: str) -> Any:
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError as error:
        return type(error).__name__


async def test_both_packages_accept_either_secret_and_refuse_all_that_was_tampered_with(
    received: dict[str, Any], node: Any, tmp_path: Path
):
    fresh, body = received["fresh"], received["body"].decode()
    tampered = {
        "another secret": (FOREIGN, fresh, body),
        "another body": (NEW, fresh, body + " "),
        "another id": (NEW, {**fresh, "webhook-id": "evt_2"}, body),
        "an old attempt": (NEW, received["late"], body),
        "the old attempt's signature, told to be fresh": (
            NEW, {**received["late"], "webhook-timestamp": fresh["webhook-timestamp"]}, body,
        ),
    }  # fmt: skip
    cases = [(NEW, fresh, body), (OLD, fresh, body), *tampered.values()]
    expected = [json.loads(body)] * 2 + ["WebhookVerificationError"] * len(tampered)
    assert [in_python(*case) for case in cases] == expected

    (tmp_path / "node_modules").symlink_to(node.modules)
    (tmp_path / "verify.mjs").write_text(VERIFIER)
    given = json.dumps([dict(zip(("secret", "headers", "body"), case, strict=True)) for case in cases])
    told = await asyncio.to_thread(
        subprocess.run, [node.program, "verify.mjs"], cwd=tmp_path, input=given, capture_output=True, text=True, check=True, timeout=30
    )  # fmt: skip
    assert json.loads(told.stdout) == expected


async def test_what_the_deliverer_sends_after_a_rotation_verifies_by_the_old_and_the_new_secret_for_a_day(
    api: Any, sink: Any
):
    api.clock.advance((datetime.now(UTC) - api.clock.now()).total_seconds())
    created = await api.create(headers={"Authorization": "Bearer zebra"})
    webhook = created["id"]
    await api.rows.update_one(
        {"_id": webhook}, {"$set": {"url": sink.url()}}
    )  # what no subscriber may ask for

    async def delivered() -> Any:
        sent = await api.call("POST", f"/webhooks/{webhook}/test", status=201)
        now = api.clock.now()
        key = f"{webhook}:{sent['eventId']}"
        (claim,) = await api.ports.deliveries.claim([key], now=now, until=now + timedelta(seconds=45))
        endpoint = await api.ports.endpoints.find("acme", webhook)
        async with opened(Names(["127.0.0.1"])) as sender:
            attempt = AttemptDelivery(
                api.ports.secrets, sender, api.clock, (), lambda: 0.0, timedelta(hours=1)
            )
            assert (await attempt(Taken(claim, endpoint))).outcome.status is Status.SUCCEEDED
        return sink.received[-1]

    first = await delivered()
    assert first.headers["Authorization"] == "Bearer zebra"
    assert len(first.headers["webhook-signature"].split()) == 1
    rotated = await api.call("POST", f"/webhooks/{webhook}/rotate-secret", role="admin")
    both = await delivered()
    for secret in (created["secret"], rotated["secret"]):
        assert in_python(secret, both.headers, both.body.decode())["data"]["webhookId"] == webhook
    refused = in_python(rotated["secret"], first.headers, first.body.decode())
    assert refused == "WebhookVerificationError"
    api.clock.advance(24 * 3600)
    assert len((await delivered()).headers["webhook-signature"].split()) == 1
