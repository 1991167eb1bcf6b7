"""The contract's own examples through the gateway: every request as written, every answer field by field.

The contract was written in 2024, so its dates lie in the past: an end that has passed and a start more
than a minute ago are refused, as they should be. Where an example has to run, its years are moved and
nothing else; what is refused as written is asserted to be refused for that reason.

An answer must have every field of the example, of the same type, with the same value unless it depends on
ids, on the clock or on how far an execution has come (`FREE`). It may have more fields.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]
CONTRACTS = Path(__file__).resolve().parents[1] / "contracts"
EXAMPLES: dict[str, Json] = {
    file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((CONTRACTS / "examples").glob("*.json"))
}
YEARS = 75
"""How far dates are moved: nobody will run this in 2099."""
FREE = {
    "createCampaign.response": r"data\.id",
    "cloneCampaign.response": r"data\.id",
    "deleteCampaign.response": r"-",
    "executeCampaign.response": r"data\.(executionId|estimatedCompletion)",
    "pauseCampaign.response": r"data\.pausedAt",
    "resumeCampaign.response": r"data\.resumedAt",
    "listCampaigns.response": r"data\.campaigns\[\]\.(id|createdBy|createdAt|updatedAt|statistics\.\w+"
    r"|targetAudience\.totalCount)|data\.pagination\.(total|pages)",
    "getCampaign.response": r"data\.(id|createdAt|updatedAt|targetAudience\.totalCount|messages\[\]\.templateId)",
    "getCampaignProgress.response": r"data\.(progress\.\w+|currentRate|estimatedCompletion|errors\[\]\.count)",
    "getCampaignStatistics.response": r"data\.(overview|performance)\.\w+|data\.timeline\[\]\.\w+"
    r"|data\.segments\[\]\.performance\.\w+",
}
"""Paths whose values are not the example's: ids, times, counts. Their types are."""
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z")
PEOPLE = 40
RATE = 5


def moved(value: Any) -> Any:
    """`value` with every date in it `YEARS` later."""
    if isinstance(value, dict):
        return {key: moved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item) for item in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        return f"{int(value[:4]) + YEARS}{value[4:]}"
    return value


def kind(value: Any) -> str:
    if isinstance(value, str):
        return "time" if TIME.fullmatch(value) else "text"
    kinds = {bool: "flag", type(None): "null", int: "number", float: "number", dict: "object", list: "array"}
    return kinds[type(value)]


def differences(example: Any, answer: Any, free: str, at: str = "") -> list[str]:
    """Where `answer` lacks something of `example`, has another type, or another value that is not free."""
    if kind(example) != kind(answer):
        return [f"{at}: {kind(example)} in the contract, {answer!r} here"]
    if isinstance(example, dict):
        missing = [f"{at}.{key}: missing".lstrip(".") for key in example if key not in answer]
        return missing + [
            found
            for key in example.keys() & answer.keys()
            for found in differences(example[key], answer[key], free, f"{at}.{key}".lstrip("."))
        ]
    if isinstance(example, list) and example and isinstance(example[0], dict):
        if not answer:
            return [f"{at}: empty"]
        return differences(example[0], answer[0], free, f"{at}[]")
    if example != answer and not re.fullmatch(free, at):
        return [f"{at}: {example!r} in the contract, {answer!r} here"]
    return []


class Story:
    """One org's campaigns; notes which examples were sent and which answers compared."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.sent: set[str] = set()
        self.compared: set[str] = set()

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, path, **({} if body is None else {"json": body}))

    async def send_example(self, method: str, path: str, name: str) -> httpx.Response:
        """Send the request as it is written, to the byte."""
        self.sent.add(name)
        raw = (CONTRACTS / "examples" / f"{name}.json").read_bytes()
        return await self.http.request(
            method, path, content=raw, headers={"Content-Type": "application/json"}
        )

    def same(self, name: str, answer: httpx.Response, /, *, code: int = 200, **values: Any) -> Json:
        """`data`, after it was held against the example (with `values` in the place of the example's)."""
        assert answer.status_code == code, answer.text
        example, body = copy.deepcopy(moved(EXAMPLES[name])), answer.json()
        example["data"].update(values)
        assert differences(example, body, FREE[name]) == []
        self.compared.add(name)
        data: Json = body["data"]
        return data

    async def create(self, **definition: Any) -> str:
        """A complete draft's id."""
        body = {"targetAudience": {"segments": ["seg123"]}, "messages": [{"content": "Hi"}], **definition}
        answer = await self.send("POST", "/campaigns", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])


async def create_and_delete(story: Story) -> None:
    answer = await story.send_example("POST", "/campaigns", "createCampaign.request")
    created = story.same("createCampaign.response", answer, code=201)
    shown = (await story.send("GET", f"/campaigns/{created['id']}")).json()["data"]
    asked = EXAMPLES["createCampaign.request"]
    assert differences(asked, shown, "-") == [], "what was asked for is what is kept"
    refused = await story.send("POST", f"/campaigns/{created['id']}/execute")
    assert refused.status_code == 422 and "endDate" in refused.text, "its end has passed"
    story.same("deleteCampaign.response", await story.send("DELETE", f"/campaigns/{created['id']}"))
    assert (await story.send("GET", f"/campaigns/{created['id']}")).status_code == 404


async def update(story: Story) -> None:
    campaign = await story.create(name="Old name", goals={"revenue": 50000})
    answer = await story.send_example("PUT", f"/campaigns/{campaign}", "updateCampaign.request")
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert differences(EXAMPLES["updateCampaign.request"], data, "-") == []
    assert data["goals"]["revenue"] == 50000, "what a patch leaves out stays"


async def execute(story: Story) -> None:
    campaign = await story.create(name="Executed")
    answer = await story.send_example("POST", f"/campaigns/{campaign}/execute", "executeCampaign.request")
    assert answer.status_code == 422, answer.text
    assert [item["field"] for item in answer.json()["error"]["details"]] == ["scheduledAt"]
    later = moved(EXAMPLES["executeCampaign.request"])
    waiting = await story.send("POST", f"/campaigns/{campaign}/execute", later)
    words = {"status": "scheduled", "message": "Campaign execution scheduled"}
    data = story.same("executeCampaign.response", waiting, **words)
    assert data["scheduledAt"] == later["scheduledAt"]
    assert (await story.send("POST", f"/campaigns/{campaign}/cancel")).status_code == 200
    again = await story.create(name="Executed at once")
    now = {key: value for key, value in later.items() if key != "scheduledAt"}
    story.same("executeCampaign.response", await story.send("POST", f"/campaigns/{again}/execute", now))


async def summer_sale(story: Story) -> str:
    """The campaign of the contract's list and detail, posted as those show it, read-only fields and all."""
    template = await story.send("POST", "/templates", {"name": "Summer", "content": "Summer Sale!"})
    row = EXAMPLES["listCampaigns.response"]["data"]["campaigns"][0]
    body = moved({**row, **EXAMPLES["getCampaign.response"]["data"]})
    body["messages"][0]["templateId"] = template.json()["data"]["id"]
    answer = await story.send("POST", "/campaigns", body)
    assert answer.status_code == 201, answer.text
    campaign: str = answer.json()["data"]["id"]
    assert (await story.send("POST", f"/campaigns/{campaign}/execute")).status_code == 200
    return campaign


async def run_the_summer_sale(story: Story, world: Any) -> None:
    campaign = await summer_sale(story)
    path = f"/campaigns/{campaign}"
    await world.read(
        f"{path}/progress",
        lambda seen: seen["status"] == "running" and seen["errors"] and seen["estimatedCompletion"],
    )
    story.same("getCampaignProgress.response", await story.send("GET", f"{path}/progress"))
    story.same("getCampaign.response", await story.send("GET", path))
    listed = await story.send("GET", "/campaigns?status=active&search=summer")
    story.same("listCampaigns.response", listed)
    tenth = (await story.send("GET", "/campaigns?status=active&limit=10")).json()["data"]
    assert tenth["pagination"]["limit"] == 10
    story.same("pauseCampaign.response", await story.send("POST", f"{path}/pause"))
    story.same("resumeCampaign.response", await story.send("POST", f"{path}/resume"))
    copied = await story.send("POST", f"{path}/clone")
    story.same("cloneCampaign.response", copied, code=201)
    named = await story.send_example("POST", f"{path}/clone", "cloneCampaign.request")
    wanted = EXAMPLES["cloneCampaign.request"]["name"]
    story.same("cloneCampaign.response", named, code=201, name=wanted)
    await world.until_completed(campaign)
    await world.read(f"{path}/statistics", lambda seen: seen["overview"]["messagesSent"] == PEOPLE)
    story.same("getCampaignStatistics.response", await story.send("GET", f"{path}/statistics"))


async def people(story: Story, world: Any) -> None:
    """Contacts that the filters of the examples admit; every second one has blocked the bot."""
    await world.set_up(contacts=0, rate=RATE)
    assert (await story.send("POST", "/segments", {"id": "seg456", "name": "New"})).status_code == 201
    blocked = [world.chat(number) for number in range(0, PEOPLE, 2)]
    await world.telegram.patch("/config", json={"blocked_chats": blocked})
    fits = {"location": "US", "age": 30, "interests": ["fashion"], "segments": ["seg123"]}
    for number in range(PEOPLE):
        body = {"telegramChatId": world.chat(number), "firstName": f"N{number}", **fits}
        assert (await story.send("PUT", f"/contacts/c{number}", body)).status_code == 200


async def test_every_request_of_the_contract_is_accepted_and_every_answer_is_the_contracts(world: Any):
    async with world.http() as http:
        story = Story(http)
        await people(story, world)
        await create_and_delete(story)
        await run_the_summer_sale(story, world)
        await update(story)
        await execute(story)
    assert story.sent == {name for name in EXAMPLES if name.endswith(".request")}
    assert story.compared == {name for name in EXAMPLES if name.endswith(".response")}


async def test_the_document_and_its_page_are_there_without_a_token(world: Any):
    async with world.http(role=None) as http:
        document = await http.get("/openapi.json")
        page = await http.get(f"{world.stack.settings.gateway_url}/docs")
        script = await http.get(f"{world.stack.settings.gateway_url}/docs/swagger-ui/swagger-ui-bundle.js")
    assert document.json() == json.loads((CONTRACTS.parents[1] / "docs" / "openapi.json").read_text("utf-8"))
    assert (page.status_code, script.status_code) == (200, 200)


async def test_every_operation_of_the_document_asks_for_a_token(world: Any):
    async with world.http(role=None) as http:
        document = (await http.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if not operation.get("security"):  # links that people click
                    assert path == "/api/v1/t/{token}"
                    continue
                address = re.sub(r"\{\w+\}", "x", path).removeprefix("/api/v1")
                answer = await http.request(method.upper(), address)
                assert answer.status_code == 401, (method, path)
                assert answer.json()["error"]["code"] == "UNAUTHENTICATED"


def test_differences_are_found():
    example = {"a": 1, "b": "x", "at": "2024-06-01T00:00:00Z", "list": [{"c": True}]}
    assert differences(example, {**example, "more": 1}, "-") == []
    assert differences(example, {**example, "a": 2}, "a") == []
    assert differences(example, {**example, "a": 2}, "-") == ["a: 1 in the contract, 2 here"]
    assert differences(example, {**example, "a": "1"}, "a") == ["a: number in the contract, '1' here"]
    assert differences(example, {**example, "at": "today"}, "at") == [
        "at: time in the contract, 'today' here"
    ]
    assert differences({"list": [{"c": True}]}, {"list": [{}]}, "-") == ["list[].c: missing"]
    assert differences({"list": [{"c": True}]}, {"list": []}, "-") == ["list: empty"]
