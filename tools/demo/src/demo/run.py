"""The demo's story, step by step."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from demo import show
from demo.api import Api, DemoError
from demo.campaign import BOT_TOKEN, RATE, create_campaign, prepare_audience, register_bot
from demo.compare import Row, compare
from demo.subscriber import Subscriber, listening

BOT_ID = int(BOT_TOKEN.partition(":")[0])
FAULTS = {
    "seed": 7,
    "bot_per_second": RATE + RATE // 20,  # arrivals may jitter by 5 %: the limit is judged at dispatch
    "chat_per_second": 1,
    "blocked_share": 0.02,
    "not_found_share": 0.005,
    "server_error_share": 0.01,
    "burst_429_every_seconds": 8,
    "burst_429_length_seconds": 0.3,
    "burst_429_retry_after": 1,
}
NO_FAULTS = dict.fromkeys(
    ("blocked_share", "not_found_share", "server_error_share", "burst_429_every_seconds"), 0
)
EXPECTED_EVENTS = {"campaign.created", "campaign.started", "campaign.completed"}


async def run_demo(gateway: str, simulator: str, token: str, contacts: Path, console: Console) -> int:
    """The whole demo; how many numbers differ. Raises DemoError when it cannot go on."""
    api = Api(gateway, token)
    try:
        async with (
            httpx.AsyncClient(base_url=simulator, timeout=60, trust_env=False) as telegram,
            listening() as sub,
        ):
            return await _story(api, telegram, sub, contacts, console)
    finally:
        await api.close()


async def _story(
    api: Api, telegram: httpx.AsyncClient, sub: Subscriber, contacts: Path, console: Console
) -> int:
    await _set_faults(telegram, FAULTS)
    await telegram.delete("/ledger")
    try:
        console.print("[bold]1.[/] import contacts, register the bot and a webhook subscriber")
        imported = await prepare_audience(api, contacts)
        console.print(f"   imported {imported['imported']:,}, updated {imported['updated']:,}, rejected 0")
        await register_bot(api)
        endpoint = await api.call("POST", "/webhooks", json={"url": sub.url, "events": ["*"]})
        sub.secret = endpoint["secret"]
        console.print("[bold]2.[/] create the Summer Sale campaign, with a 50 % variation")
        campaign_id = await create_campaign(api, datetime.now(UTC))
        console.print(
            f"[bold]3.[/] execute {campaign_id} at {RATE:,}/s"
            " (2 % blocked, 0.5 % unknown chats, 1 % 5xx, bursts of 429)"
        )
        started = await api.call("POST", f"/campaigns/{campaign_id}/execute", json={"priority": "high"})
        final = await _watch(api, campaign_id, console)
        console.print("[bold]4.[/] compare every number")
        rows = await _compare(api, telegram, campaign_id, started["executionId"], final, console)
        await _show_webhooks(api, sub, endpoint["id"], campaign_id, console)
        console.print(show.comparison_table(rows))
        return show.differences(console, rows)
    finally:
        await _set_faults(telegram, NO_FAULTS)


async def _set_faults(telegram: httpx.AsyncClient, faults: dict[str, Any]) -> None:
    answer = await telegram.patch("/config", json=faults)
    if answer.is_error:
        raise DemoError(f"the simulator refused its configuration: {answer.text}")


async def _watch(api: Api, campaign_id: str, console: Console) -> dict[str, Any]:
    """A live bar until the execution has ended; its last progress."""
    bar = Progress(
        TextColumn("   {task.description}"), BarColumn(40), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>6.0f}/s"), TimeRemainingColumn(), console=console,
    )  # fmt: skip
    began = monotonic()
    with bar:
        task = bar.add_task("sending", total=None, rate=0.0)
        while True:
            now: dict[str, Any] = await api.call("GET", f"/campaigns/{campaign_id}/progress")
            numbers = now["progress"]
            rate = numbers["processed"] / max(monotonic() - began, 0.001)
            bar.update(task, total=numbers["total"] or None, completed=numbers["processed"], rate=rate)
            if now["status"] in ("completed", "failed"):
                break
            if monotonic() - began > 240:
                raise DemoError(f"the execution has not ended after 240 s: {json.dumps(now)}")
            await asyncio.sleep(0.25)
    console.print(f"   {numbers['processed']:,} people in {monotonic() - began:.1f} s")
    console.print(show.progress_table(now))
    if now["errors"]:
        console.print(show.errors_table(now))
    return now


async def _until(read: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], seconds: float = 30) -> Any:
    """Read until `good`, or what was read last: the comparison will say what is wrong with it."""
    deadline = monotonic() + seconds
    value = await read()
    while not good(value) and monotonic() < deadline:
        await asyncio.sleep(0.2)
        value = await read()
    return value


async def _compare(
    api: Api, telegram: httpx.AsyncClient, campaign_id: str, execution_id: str, final: dict[str, Any],
    console: Console,
) -> list[Row]:  # fmt: skip
    numbers = final["progress"]
    sent = numbers["successful"] + numbers["failed"]
    statistics = await _until(
        lambda: api.call("GET", f"/campaigns/{campaign_id}/statistics"),
        lambda seen: seen["overview"]["messagesSent"] >= sent,
    )
    console.print(show.statistics_table(statistics))
    path = f"/campaigns/{campaign_id}/recipients"
    recipients = await api.every(path, "recipients", limit=1000, executionId=execution_id)
    ledger = await telegram.get("/ledger", params={"bot_id": BOT_ID})
    entries = [json.loads(line) for line in ledger.text.splitlines() if line]
    rows = compare(entries, recipients, statistics["overview"], numbers)
    shown = await _until(
        lambda: api.call("GET", f"/campaigns/{campaign_id}"),
        lambda seen: seen["status"] == "completed" and seen["statistics"]["messagesSent"] >= sent,
    )
    rows.append(Row("campaign document: messagesSent", None, sent, shown["statistics"]["messagesSent"]))
    rows.append(Row("campaign document: completed (1 = yes)", None, 1, int(shown["status"] == "completed")))
    return rows


async def _show_webhooks(
    api: Api, sub: Subscriber, endpoint_id: str, campaign_id: str, console: Console
) -> None:
    async def types() -> list[str]:
        return sub.types(campaign_id)

    seen = await _until(types, lambda got: set(got) >= EXPECTED_EVENTS)
    deliveries = await _until(
        lambda: api.every(f"/webhooks/{endpoint_id}/deliveries", "deliveries"),
        lambda rows: all(row["status"] == "succeeded" for row in rows),
        seconds=5,
    )
    console.print(show.deliveries_table(reversed(deliveries), len(sub.verified), sub.refused))
    if set(seen) != EXPECTED_EVENTS:
        raise DemoError(f"the subscriber got {sorted(set(seen))}, not {sorted(EXPECTED_EVENTS)}")
