"""Every snippet of docs/webhooks.md, run as it stands there, against the real API and with real deliveries."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from service_kit.testing.waiting import eventually
from webhook_service.adapters.http_connection import KEEP_BYTES
from webhook_service.application.change_endpoint import OVERLAP
from webhook_service.application.event_catalogue import event_catalogue
from webhook_service.application.redeliver import MOST
from webhook_service.domain.delivery import Delivery, Status
from webhook_service.domain.retry import JITTER, MAX_RETRY_AFTER_SECONDS
from webhook_service.entrypoints.api.schemas import CreateWebhook
from webhook_service.settings import DEFAULT_SCHEDULE, Settings
from webhook_service.testing.network import Names, opened

pytestmark = pytest.mark.integration
PAGE = (Path(__file__).parents[4] / "docs/webhooks.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = {name: text for language, name, text in FENCE.findall(PAGE) if name}
SECRET, FOREIGN = "whsec_" + "A" * 32, "whsec_" + "B" * 32
RUN_BELOW = {
    "subscribe", "event-types", "test", "receiver.py", "receiver.mjs", "verify", "sign", "rotate", "deliveries",
    "delivery", "retry", "recover",
}  # fmt: skip


def test_every_snippet_is_one_that_is_run_here_and_the_one_of_http_is_what_is_sent():
    assert SNIPPETS.keys() == RUN_BELOW
    unnamed = [(language, text) for language, name, text in FENCE.findall(PAGE) if not name]
    ((language, request),) = unnamed
    assert language == "http"
    started = next(info for info in event_catalogue() if info.type == "campaign.started")
    assert json.loads(request.strip().splitlines()[-1]) == started.example


def test_the_page_names_every_field_of_a_subscription():
    shown = {
        field.alias or name
        for name, field in CreateWebhook.model_fields.items()
        if field.annotation is not Any
    }
    assert {name for name in shown if f"| `{name}` |" not in PAGE} <= {"description"}


def test_the_numbers_of_the_page_are_those_of_the_service():
    default = {name: field.default for name, field in Settings.model_fields.items()}
    units = ((3600, "h"), (60, "min"), (1, "s"))
    waits = [
        next(f"{wait / size:g} {unit}" for size, unit in units if wait >= size) for wait in DEFAULT_SCHEDULE
    ]
    for promise in (
        f"after {', '.join(waits[:-1])} and {waits[-1]}, ± {JITTER:.0%}".replace("%", " %"),
        f"within {default['webhook_timeout_seconds']:g} s",
        f"first {KEEP_BYTES // 1024} KiB",
        f"at most {MAX_RETRY_AFTER_SECONDS // 86_400} days",
        f"For {OVERLAP.total_seconds() / 3600:g} h every request",
        f"recovers {MOST:,} at most",
        f"kept for {default['webhook_retention_days']} days",
        f"After {default['webhook_disable_after_days']:g} days without one success",
    ):
        assert promise in PAGE
    assert (default["webhook_ordered_patience_seconds"], "or an hour after its first attempt" in PAGE) == (
        3600,
        True,
    )
    assert sum(DEFAULT_SCHEDULE) * (1 + JITTER) < 4 * 86_400


async def run(name: str, folder: Path, **variables: str) -> tuple[int, str]:
    """The snippet's exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-u", "-o", "pipefail", "-c", SNIPPETS[name], cwd=folder,
        env={"PATH": os.environ["PATH"], **variables}, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert not errors, errors.decode()
    return process.returncode or 0, out.decode()


def answers(out: str) -> list[Any]:
    """The `data` of each answer in what curl printed, one after another."""
    decoder, place, found = json.JSONDecoder(), 0, []
    while place < len(out):
        answer, place = decoder.raw_decode(out, place)
        found.append(answer["data"])
    return found


@pytest.fixture
async def served(api: Any) -> AsyncIterator[str]:
    """The API's address."""
    server = uvicorn.Server(uvicorn.Config(api.app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
        server.should_exit = True
        await serving


async def test_the_calls_of_the_api_work_one_after_another(
    api: Any, served: str, make_delivery: Callable[..., Delivery], now: datetime, tmp_path: Path
):
    # A recovery looks for the ids of a time, and those that the service makes tell the real one.
    api.clock.advance((datetime.now(UTC) - now).total_seconds())
    variables = {"API": served, "SINCE": "2026-01-01T00:00:00Z"}
    for name, role in (("TOKEN", "editor"), ("ADMIN_TOKEN", "admin")):
        variables[name] = api.token(role)["Authorization"].removeprefix("Bearer ")

    async def call(name: str) -> list[Any]:
        status, out = await run(name, tmp_path, **variables)
        assert status == 0, out
        return answers(out)

    (created,) = await call("subscribe")
    assert created["secret"].startswith("whsec_")
    variables["WEBHOOK_ID"] = created["id"]
    (types,) = await call("event-types")
    assert len(types["eventTypes"]) == len(event_catalogue())
    (sent,) = await call("test")
    assert sent["event"] == "webhook.test"
    failed = make_delivery(created["id"])
    await api.put(failed)
    await api.attempted(failed, Status.FAILED, at=now)
    variables["DELIVERY_ID"] = failed.id
    (log,) = await call("deliveries")
    assert [item["id"] for item in log["deliveries"]] == [failed.id]
    (shown,) = await call("delivery")
    assert shown["request"]["body"] == failed.body.decode()
    (retried,) = await call("retry")
    assert retried["status"] == "pending"
    await api.call("PUT", f"/webhooks/{created['id']}", {"active": False})
    api.clock.advance(60)
    switched_on, recovered = await call("recover")
    assert (switched_on["active"], recovered) == (True, {"recovered": 2, "nextCursor": None})
    (rotated,) = await call("rotate")
    assert rotated["secret"] != created["secret"]


@asynccontextmanager
async def receiving(kind: str, node: Any, folder: Path, port: int) -> AsyncIterator[list[str]]:
    """The receiver of the page as a process of its own, and the lines that it prints."""
    (folder / "node_modules").symlink_to(node.modules)
    (folder / kind).write_text(SNIPPETS[kind], encoding="utf-8")
    program = sys.executable if kind.endswith(".py") else node.program
    process = await asyncio.create_subprocess_exec(
        program, kind, cwd=folder, env={"WEBHOOK_SECRET": SECRET, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    lines: list[str] = []

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            lines.append(line.decode().strip())

    reading = asyncio.create_task(read())
    try:
        await eventually(lambda: _listens(port), bool, seconds=20, every=0.02)
        yield lines
    finally:
        process.kill()
        await process.wait()
        await reading


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("kind", ["receiver.py", "receiver.mjs"])
async def test_a_receiver_of_the_page_takes_real_deliveries_once_and_refuses_forged_ones(
    kind: str, node: Any, unused_port: int, tmp_path: Path
):
    body = '{"type":"campaign.created","data":{"name":"Été ☀️"}}'.encode()
    url = f"http://127.0.0.1:{unused_port}/hooks"

    async def deliver(event: str, *secrets: str) -> int | None:
        answer = await sender.send(
            url, secrets=secrets, message_id=event, at=datetime.now(UTC), body=body, headers={}
        )
        return answer.status_code

    async with receiving(kind, node, tmp_path, unused_port) as lines, opened(Names(["127.0.0.1"])) as sender:
        assert await deliver("evt_1", SECRET) == 204
        assert await deliver("evt_1", SECRET) == 204  # a duplicate
        assert await deliver("evt_2", FOREIGN, SECRET) == 204  # while the secret is replaced
        assert await deliver("evt_3", FOREIGN) == 401
        status, out = await run("sign", tmp_path, WEBHOOK_SECRET=SECRET, RECEIVER=url)
        assert (status, out.strip()) == (0, "204")
        _, refused = await run("sign", tmp_path, WEBHOOK_SECRET=FOREIGN, RECEIVER=url)
        assert refused.strip() == "401"
    assert lines == [
        "handled campaign.created evt_1", "handled campaign.created evt_2", "handled webhook.test evt_try",
    ]  # fmt: skip


async def test_openssl_verifies_a_real_delivery_by_hand(sink: Any, tmp_path: Path):
    body = '{"type":"campaign.created","data":{"name":"Été 100 % \\\\n ☀️"}}'.encode()
    async with opened(Names(["127.0.0.1"])) as sender:
        await sender.send(
            sink.url(), secrets=[FOREIGN, SECRET], message_id="evt_1", at=datetime.now(UTC), body=body, headers={}
        )  # fmt: skip
    (got,) = sink.received
    (tmp_path / "body.json").write_bytes(got.body)
    variables = {
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_ID_HEADER": got.headers["webhook-id"],
        "WEBHOOK_TIMESTAMP": got.headers["webhook-timestamp"],
        "WEBHOOK_SIGNATURE": got.headers["webhook-signature"],
    }
    assert await run("verify", tmp_path, **variables) == (0, "verified\n")
    for changed in (
        {"WEBHOOK_SECRET": "whsec_" + "C" * 32},
        {"WEBHOOK_ID_HEADER": "evt_2"},
        {"WEBHOOK_TIMESTAMP": "1"},
    ):
        assert await run("verify", tmp_path, **{**variables, **changed}) == (1, "not verified\n")
    (tmp_path / "body.json").write_bytes(got.body + b" ")
    assert await run("verify", tmp_path, **variables) == (1, "not verified\n")
