"""A dry run and `/audience` tell what an execution then does, number by number."""

from typing import Any

import httpx
import pytest
from contracts.envelope import Envelope
from contracts.events.campaign import CampaignStarted, FrozenMessage, Variation
from contracts.ids import new_id
from execution_service.application.ports import KnownCampaign
from execution_service.bootstrap_engine import make_planner
from execution_service.domain.org_settings import FrequencyCap, OrgSettings

pytestmark = pytest.mark.integration
TOKEN = {"Authorization": "Bearer internal"}
PRICE = 0.05
TEXTS = {
    "plain": FrozenMessage(
        id="m1",
        content="Hi {{firstName}} {{attributes.note|}}",
        variations=[Variation(id="v1", content="{{lastName}}, {{firstName}}", weight=40)],
    ),
    "brief": FrozenMessage(id="m0", content="Hi"),
    "second": FrozenMessage(id="m2", content="Dear {{lastName}}"),
}


async def settings(engine: Any, **values: Any) -> None:
    store = engine.wiring.org_settings
    before = await store.of("acme")
    after = OrgSettings("acme", version=before.version + 1, **values)
    await engine.wiring.transactions.run(lambda tx: store.put(tx, after))


async def everybody(engine: Any) -> None:
    """Fifty contacts, some for every reason not to be written to; one more was erased."""
    await engine.contacts(range(1, 11), last_name="L")
    await engine.contacts(range(11, 17), last_name="L", segments=("seg", "busy"))
    await engine.contacts(range(17, 21), last_name="L", segments=("seg", "half"))
    await engine.contacts(range(21, 31))  # without a last name
    await engine.contacts(range(31, 34), last_name="L", opted_out=True, unreachable="BLOCKED")
    for code, numbers in {"BLOCKED": range(34, 38), "DEACTIVATED": [38, 39], "NO_CHAT": [40]}.items():
        await engine.contacts(numbers, last_name="L", unreachable=code)
    await engine.contacts(range(41, 47), last_name="L", attributes={"note": "x" * 5_000})
    await engine.contacts(range(47, 52), last_name="L", tester=True, timezone="Asia/Tokyo")
    contacts = engine.wiring.contacts
    gone = await contacts.get("acme", "con_000051")
    await engine.wiring.transactions.run(lambda tx: contacts.erase(tx, gone))


def starting(
    engine: Any, *names: str, budget: float | None = None, **options: Any
) -> Envelope[CampaignStarted]:
    """The event of an execution with these texts."""
    started = engine.started(campaign_id=new_id("camp"), **options)
    changed = {"messages": [TEXTS[name] for name in names], "budget": budget, "sampling_seed": "s"}
    snapshot = started.data.snapshot.model_copy(update=changed)
    return started.model_copy(update={"data": started.data.model_copy(update={"snapshot": snapshot})})  # type: ignore[no-any-return]


async def foretold(api: httpx.AsyncClient, engine: Any, event: Envelope[CampaignStarted]) -> dict[str, Any]:
    body = {
        "org": "acme",
        "begin": engine.wiring.clock.now().isoformat(),
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


async def agree(api: httpx.AsyncClient, engine: Any, event: Envelope[CampaignStarted]) -> dict[str, int]:
    """The codes, foretold and found."""
    told = await foretold(api, engine, event)
    codes, sent = await executed(engine, event)
    assert told["suppressed"] == codes
    assert (told["totalCount"], told["messages"], told["seconds"]) == (50, sent, sent / 1_000)
    assert told["cost"] == pytest.approx(PRICE * sent)
    return codes


async def shown(api: httpx.AsyncClient, engine: Any, event: Envelope[CampaignStarted]) -> dict[str, int]:
    """What the audience's route tells of the campaign before it starts."""
    noted = KnownCampaign(event.data.campaign_id, "acme", "Sale", "draft", 1, event.data.snapshot.audience)
    await engine.wiring.transactions.run(lambda tx: engine.wiring.campaigns.note(tx, noted))
    data = (await api.get(f"/campaigns/{event.data.campaign_id}/audience")).json()["data"]
    assert (data["totalCount"], data["bySegment"]) == (50, {"seg": 50})
    return data["suppressed"]  # type: ignore[no-any-return]


async def test_a_dry_run_is_what_the_execution_then_does(engine: Any, api: httpx.AsyncClient) -> None:
    engine.bot = await engine.new_bot(default=True, per_chat_per_second=100)
    await everybody(engine)
    async with engine.working():
        cap = FrequencyCap(messages=2, hours=24)
        await settings(engine, cost_per_message=PRICE, frequency_cap=cap)
        await executed(engine, starting(engine, "brief", "second", segments=["busy"]))
        await executed(engine, starting(engine, "brief", segments=["half"]))

        suppressed = {"OPTED_OUT": 3, "BLOCKED": 4, "DEACTIVATED": 2, "NO_CHAT": 1, "FREQUENCY_CAP": 6}
        everything = starting(engine, "plain", "second", budget=PRICE * 30)
        assert await shown(api, engine, everything) == suppressed
        assert await agree(api, engine, everything) == {
            **suppressed,
            "FREQUENCY_CAP": 6 + 4,  # who had one before gets one more
            "MISSING_FIELD": 10,
            "MESSAGE_TOO_LONG": 5,  # the other one reads the variation
            "BUDGET_EXHAUSTED": 10,
        }
        await settings(engine, cost_per_message=PRICE)
        await agree(api, engine, starting(engine, "plain", "second", target_percentage=37))
        await settings(engine, cost_per_message=PRICE, frequency_cap=FrequencyCap(messages=1, hours=24))
        testing = starting(engine, "second", test_mode=True, budget=PRICE)
        assert await agree(api, engine, testing) == {}  # neither cap nor budget holds for tests
        brief = starting(engine, "brief")
        assert await shown(api, engine, brief) == await agree(api, engine, brief)
