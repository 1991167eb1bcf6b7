"""The contract's own examples fit the document: requests as written, answers field by field.

`examples/` holds the examples of the contract, to the letter.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

Json = dict[str, Any]
HERE = Path(__file__).parent
DOCUMENT: Json = json.loads((HERE.parents[1] / "docs" / "openapi.json").read_text(encoding="utf-8"))
EXAMPLES: dict[str, Json] = {
    file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((HERE / "examples").glob("*.json"))
}
OPERATIONS = {
    "listCampaigns": ("get", "/api/v1/campaigns"),
    "getCampaign": ("get", "/api/v1/campaigns/{campaign_id}"),
    "createCampaign": ("post", "/api/v1/campaigns"),
    "updateCampaign": ("put", "/api/v1/campaigns/{campaign_id}"),
    "deleteCampaign": ("delete", "/api/v1/campaigns/{campaign_id}"),
    "executeCampaign": ("post", "/api/v1/campaigns/{campaign_id}/execute"),
    "pauseCampaign": ("post", "/api/v1/campaigns/{campaign_id}/pause"),
    "resumeCampaign": ("post", "/api/v1/campaigns/{campaign_id}/resume"),
    "cloneCampaign": ("post", "/api/v1/campaigns/{campaign_id}/clone"),
    "getCampaignStatistics": ("get", "/api/v1/campaigns/{campaign_id}/statistics"),
    "getCampaignProgress": ("get", "/api/v1/campaigns/{campaign_id}/progress"),
}
"""Every operation of the contract, and where it stands."""
REQUESTS = [name for name in EXAMPLES if name.endswith(".request")]
RESPONSES = [name for name in EXAMPLES if name.endswith(".response")]


def operation(name: str) -> Json:
    method, path = OPERATIONS[name.partition(".")[0]]
    found: Json = DOCUMENT["paths"][path][method]
    return found


def request_content(name: str) -> Json:
    found: Json = operation(name)["requestBody"]["content"]["application/json"]
    return found


def answer_schema(name: str) -> Json:
    answers = operation(name)["responses"]
    success = next(answer for status, answer in answers.items() if status[0] == "2")
    found: Json = success["content"]["application/json"]["schema"]
    return found


def told_only(node: Any) -> Any:
    """Schemas that know no field but their own, and need none: what an example shows must be among them."""
    if isinstance(node, list):
        return [told_only(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {key: told_only(value) for key, value in node.items() if key != "required"}
    if "properties" in node and "additionalProperties" not in node:
        strict["additionalProperties"] = False
    return strict


def problems(schema: Json, value: Any, components: Json) -> list[str]:
    checker = jsonschema.Draft202012Validator({**schema, "components": components})
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]


def test_the_examples_are_all_that_the_contract_has() -> None:
    assert {name.partition(".")[0] for name in EXAMPLES} == set(OPERATIONS)
    assert len(REQUESTS) == 4 and len(RESPONSES) == 10


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_of_the_contract_stands_where_it_says(name: str) -> None:
    assert operation(name)["operationId"] == name


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_of_the_contract_is_accepted_and_shown_in_the_document(name: str) -> None:
    content = request_content(name)
    assert problems(content["schema"], EXAMPLES[name], DOCUMENT["components"]) == []
    assert content["example"] == EXAMPLES[name]


@pytest.mark.parametrize("name", RESPONSES)
def test_an_answer_of_the_contract_has_no_field_that_the_document_lacks(name: str) -> None:
    components = told_only(DOCUMENT["components"])
    assert problems(told_only(answer_schema(name)), EXAMPLES[name], components) == []


def test_a_list_takes_the_parameters_of_the_contract_with_its_defaults() -> None:
    given = {item["name"]: item["schema"] for item in operation("listCampaigns")["parameters"]}
    assert {"page", "limit", "status", "type", "sort", "search"} <= set(given)
    defaults = (given["page"]["default"], given["limit"]["default"], given["sort"]["default"])
    assert defaults == (1, 20, "-createdAt")
    assert given["limit"]["maximum"] == 100
