"""A dry run and `/audience` tell what an execution then does, number by number."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from contracts.envelope import Envelope
from contracts.events.campaign import CampaignStarted, FrozenMessage, Variation
from contracts.ids import new_id
from execution_service.bootstrap_engine import make_planner
from execution_service.domain.org_settings import OrgSettings

pytestmark = pytest.mark.integration
TOKEN = {"Authorization": "Bearer internal"}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TEXTS = {
    "plain": FrozenMessage(
        id="m1",
        content="Hi {{firstName}} {{attributes.note|}}",
        variations=[Variation(id="v1", content="{{lastName}}, {{firstName}}", weight=40)],
    ),
    "second": FrozenMessage(id="m2", content="Dear {{lastName}}"),
}


async def settings(engine: Any, **values: Any) -> None:
    store = engine.wiring.org_settings
    before = await store.of("acme")
    after = OrgSettings("acme", version=before.version + 1, **values)
    await engine.wiring.transactions.run(lambda tx: store.put(tx, after))


async def everybody(engine: Any) -> None:
    """Sixty contacts, some for every reason not to be written to."""
    await engine.contacts(range(1, 31), last_name="L")
    await engine.contacts(range(31, 41))  # without a last name
    await engine.contacts(range(41, 44), last_name="L", opted_out=True, unreachable="BLOCKED")
    for code, numbers in {"BLOCKED": range(44, 48), "DEACTIVATED": [48, 49], "NO_CHAT": [50]}.items():
        await engine.contacts(numbers, last_name="L", unreachable=code)
    await engine.contacts(range(51, 57), last_name="L", attributes={"note": "x" * 5_000})
    await engine.contacts(range(57, 61), last_name="L", tester=True, timezone="Asia/Tokyo")


def starting(
    engine: Any, *names: str, budget: float | None = None, **options: Any
) -> Envelope[CampaignStarted]:
    """The event of an execution with these texts."""
    started = engine.started(campaign_id=new_id("camp"), **options)
    changed = {"messages": [TEXTS[name] for name in names], "budget": budget}
    snapshot = started.data.snapshot.model_copy(update=changed)
    return started.model_copy(update={"data": started.data.model_copy(update={"snapshot": snapshot})})  # type: ignore[no-any-return]


async def foretold(api: httpx.AsyncClient, event: Envelope[CampaignStarted]) -> dict[str, Any]:
    body = {
        "org": "acme",
        "begin": NOON.isoformat(),
        "snapshot": event.data.snapshot.model_dump(mode="json", by_alias=True),
    }
    answer = await api.post("http://test/internal/forecast", json=body, headers=TOKEN)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def executed(engine: Any, event: Envelope[CampaignStarted]) -> tuple[dict[str, int], int]:
    """Contacts by error code, and the messages that were sent."""
    before = len(engine.sends())
    execution_id = await engine.accept(event)
    assert await make_planner(engine.wiring).run_once("planner")
    await engine.ended(execution_id)
    sums = await engine.wiring.shards.sums(execution_id)
    return dict(sums.errors), len(engine.sends()) - before


async def test_a_dry_run_is_what_the_execution_then_does(engine: Any, api: httpx.AsyncClient) -> None:
    engine.bot = await engine.new_bot(default=True, per_chat_per_second=100)
    await everybody(engine)
    await settings(engine, cost_per_message=0.05)
    both = ("plain", "second")
    async with engine.working():
        for event in (
            starting(engine, *both),
            starting(engine, *both, target_percentage=37),
            starting(engine, "second", test_mode=True),
        ):
            told = await foretold(api, event)
            codes, sent = await executed(engine, event)
            assert told["suppressed"] == codes
            assert (told["totalCount"], told["messages"], told["seconds"]) == (60, sent, sent / 1_000)
            assert told["cost"] == pytest.approx(0.05 * sent)
