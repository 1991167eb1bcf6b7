"""Templates over HTTP, and what messages have in common with them."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration


async def shown(api: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
    data: dict[str, Any] = (await api.get(f"/campaigns/{campaign_id}")).json()["data"]
    return data


async def test_media_and_buttons_are_shown_changed_emptied_and_copied_with_a_clone(
    api: httpx.AsyncClient,
) -> None:
    parts = {
        "media": {"type": "video", "url": "https://cdn.example/a.mp4"},
        "buttons": [
            [
                {
                    "text": "Shop, {{firstName|friend}}",
                    "url": "http://shop.example/?a=1&b=[2]&click={{clickId}}#c",
                }
            ]
        ],
    }
    template = (await api.post("/templates", json={"name": "T", "content": "Hi", **parts})).json()["data"]
    path = f"/templates/{template['id']}"
    assert {name: template[name] for name in parts} == parts
    moved = await api.put(path, json={"media": {"type": "animation"}, "buttons": None})
    changed = moved.json()["data"]
    assert changed["media"] == {"type": "animation", "url": "https://cdn.example/a.mp4"}
    assert (changed["buttons"], changed["content"]) == ([], "Hi")
    assert (await api.put(path, json={"media": None})).json()["data"]["media"] is None

    message = {"templateId": template["id"], **parts}
    created = await api.post("/campaigns", json={"name": "With media", "messages": [message]})
    campaign_id = created.json()["data"]["id"]
    copy = (await api.post(f"/campaigns/{campaign_id}/clone")).json()["data"]["id"]
    for shown_id in (campaign_id, copy):
        [seen] = (await shown(api, shown_id))["messages"]
        assert {name: seen[name] for name in parts} == parts
    whole = await shown(api, campaign_id)
    again = await api.put(f"/campaigns/{campaign_id}", json=whole)
    assert again.status_code == 200 and again.headers["ETag"] == '"1"'
    without = [{"templateId": template["id"], "buttons": []}]
    [seen] = (await api.put(f"/campaigns/{campaign_id}", json={"messages": without})).json()["data"][
        "messages"
    ]
    assert (seen["media"], seen["buttons"]) == (None, [])


async def test_a_template_is_changed_and_deleted(api: httpx.AsyncClient) -> None:
    data = (await api.post("/templates", json={"name": "T", "content": "Hi"})).json()["data"]
    path = f"/templates/{data['id']}"
    changed = await api.put(path, json={"content": "Ho", "parseMode": "HTML"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"'), changed.text
    assert changed.json()["data"]["content"] == "Ho" and changed.json()["data"]["name"] == "T"
    assert (await api.put(path, json=changed.json()["data"])).headers["ETag"] == '"2"'
    assert (await api.put(path, json={"content": None})).status_code == 422
    assert (await api.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path)).json()["data"]["message"] == "Template deleted successfully"
    assert (await api.get(path)).status_code == 404
