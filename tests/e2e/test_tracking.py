"""From a template's button to the shop and the event, as a recipient's phone sees it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx
from service_kit.testing.reading import Reading
from service_kit.testing.waiting import eventually

SHOP, SIZES = "https://shop.example/sale?from=telegram&n=[1]#top", "https://shop.example/sizes"


async def buttons_of(world: Any, chat: int) -> list[str]:
    """The addresses behind the buttons that the chat was sent."""
    sent = {entry["chat_id"]: entry for entry in await world.telegram_ledger()}
    return [button["url"] for row in sent[chat]["buttons"] for button in row]


@asynccontextmanager
async def a_phone() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, headers={"User-Agent": "Mozilla/5.0 (a phone)"}) as phone:
        yield phone


async def test_a_button_leads_to_its_address_and_the_click_is_told_and_a_forged_link_leads_nowhere(
    world: Any,
) -> None:
    await world.set_up(contacts=3, rate=1000)
    reading = await Reading(f"127.0.0.1:{world.stack.settings.kafka_port}", "engagement-events").begin()
    api = world.api()
    template = await api.call("POST", "/templates", json={
        "name": "Sale", "content": "<b>Hi {{firstName}}</b>", "parseMode": "HTML",
        "media": {"type": "photo", "url": "https://cdn.example/sale.jpg"},
        "buttons": [[{"text": "Shop, {{firstName}}", "url": SHOP}], [{"text": "Sizes", "url": SIZES}]],
    })  # fmt: skip
    await api.close()
    campaign_id, execution_id = await world.start_campaign(messages=[{"templateId": template["id"]}])
    await world.until_completed(campaign_id)

    sent = {entry["chat_id"]: entry for entry in await world.telegram_ledger()}
    assert len(sent) == 3
    entry = sent[world.chat(1)]
    assert (entry["method"], entry["media"]) == ("sendPhoto", "https://cdn.example/sale.jpg")
    assert entry["text_sha256"] == sha256(b"<b>Hi N1</b>").hexdigest()
    assert [[button["text"] for button in row] for row in entry["buttons"]] == [["Shop, N1"], ["Sizes"]]
    addresses = [button["url"] for row in entry["buttons"] for button in row]
    assert len({row["url"] for one in sent.values() for rows in one["buttons"] for row in rows}) == 6
    assert all(url.startswith(f"{world.stack.settings.gateway_url}/api/v1/t/") for url in addresses)

    async with a_phone() as phone:
        answers = [await phone.get(url) for url in addresses]
        assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [
            (302, SHOP), (302, SIZES),
        ]  # fmt: skip
        forged = [
            addresses[0][:-1] + ("A" if addresses[0][-1] != "A" else "B"),
            addresses[0].rpartition("/")[0] + "/https%3A%2F%2Fevil.example",
        ]
        for url in forged:
            refused = await phone.get(url)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "NOT_FOUND")

    async def clicks() -> list[dict[str, Any]]:
        return [json.loads(raw)["data"] for raw in (await reading.values()).get(campaign_id, [])]

    told = await eventually(clicks, lambda seen: len(seen) >= 2)
    assert [(click["button"], click["url"], click["contactId"], click["testMode"]) for click in told] == [
        (0, SHOP, "c00001", False), (1, SIZES, "c00001", False),
    ]  # fmt: skip
    assert {click["executionId"] for click in told} == {execution_id}


async def test_a_conversion_by_click_counts_once_with_its_revenue(world: Any) -> None:
    await world.set_up(contacts=2, rate=1000)
    shop = {"text": "Shop", "url": "https://shop.example/{{clickId}}?utm=1"}
    campaign_id, _ = await world.start_campaign(messages=[{"content": "Hi", "buttons": [[shop]]}])
    await world.until_completed(campaign_id)
    [address] = await buttons_of(world, world.chat(1))
    async with a_phone() as phone:
        landed = (await phone.get(address)).headers["Location"]
        assert (await phone.head(address)).status_code == 302
        await phone.get(address, headers={"User-Agent": "TelegramBot (like TwitterBot)"})
    click_id = landed.removeprefix("https://shop.example/").removesuffix("?utm=1")
    api = world.api()
    order = {"clickId": click_id, "value": 19.99, "externalId": "order-1"}
    first = await api.call("POST", "/conversions", json=order)
    again = await api.call("POST", "/conversions", json=order)
    assert again == first | {"duplicate": True}
    assert (first["campaignId"], first["contactId"], first["value"]) == (campaign_id, "c00001", 19.99)

    counted = {
        "messagesSent": 2, "clicked": 1, "clickedTotal": 1, "read": 1, "converted": 1, "convertedTotal": 1, "revenue": 19.99,
    }  # fmt: skip

    async def overview() -> dict[str, Any]:
        seen = (await api.call("GET", f"/campaigns/{campaign_id}/statistics"))["overview"]
        return {name: seen[name] for name in counted}

    await eventually(overview, lambda seen: seen == counted)
    await api.close()
