"""The committed document tells all that a client must know, operation by operation."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: Json = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS: dict[str, tuple[str, str, Json]] = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
PUBLIC = {"followLink"}
"""Whoever has the link may follow it."""
LIMITS = ("minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
          "exclusiveMaximum", "maxItems", "maxProperties")  # fmt: skip
every_operation = pytest.mark.parametrize("name", OPERATIONS)


def resolved(node: Json) -> Json:
    """`node`, or what its `$ref` points to."""
    while "$ref" in node:
        found = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def parameters(operation: Json) -> dict[str, str]:
    return {item["name"]: item["in"] for item in operation.get("parameters", [])}


def body(operation: Json) -> Json:
    content: Json = operation.get("requestBody", {}).get("content", {})
    return content


def success(operation: Json) -> Json:
    return next(resolved(answer) for status, answer in operation["responses"].items() if status[0] in "23")


def assert_valid(schema: Json, example: Any) -> None:
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(example)


@every_operation
def test_an_operation_says_what_it_is_and_who_may_call_it(name: str) -> None:
    method, path, operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]*)+", name), "a verb and what it is done to, in camelCase"
    assert operation["summary"] and len(operation["description"]) > 25
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]} and operation["tags"]
    assert path.startswith("/api/v1/")
    if name in PUBLIC:
        assert "security" not in operation
        return
    _, _, role = operation["description"].rpartition("\n\n")
    (least,) = operation["security"][0]["bearer"]
    assert least in ("viewer", "editor", "admin") and role == f"Needs the role `{least}`."
    assert method == "get" or least != "viewer"


@every_operation
def test_an_operation_lists_exactly_the_errors_that_its_shape_allows(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    kinds, takes_json = parameters(operation), "application/json" in body(operation)
    expected = {
        401: name not in PUBLIC,
        403: name not in PUBLIC and operation["security"][0]["bearer"] != ["viewer"],
        404: "path" in kinds.values(),
        412: "If-Match" in kinds,
        413: takes_json,
        415: bool(body(operation)),
        503: True,
    }
    listed = {int(status) for status in operation["responses"]}
    assert {status: status in listed for status in expected} == expected
    assert not takes_json or {400, 422} <= listed
    assert not set(kinds.values()) - {"path"} or 400 in listed
    assert listed <= {200, 201, 202, 204, 302, *expected, 400, 409, 410, 422}


@every_operation
def test_every_error_is_in_the_envelope_with_an_example(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    for status, given in operation["responses"].items():
        answer = resolved(given)
        assert "X-Request-Id" in answer["headers"], status
        if status[0] in "23":
            continue
        content = answer["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Failure"}
        assert content["examples"], status
        for example in content["examples"].values():
            assert_valid(content["schema"], example["value"])
            assert re.fullmatch(r"[A-Z_]+", example["value"]["error"]["code"])
    assert "Retry-After" in resolved(operation["responses"]["503"])["headers"]
    if name not in PUBLIC:
        assert "WWW-Authenticate" in resolved(operation["responses"]["401"])["headers"]


@every_operation
def test_what_may_be_repeated_or_guarded_names_its_headers(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    if "Idempotency-Key" in parameters(operation):
        assert "Idempotency-Replayed" in success(operation)["headers"]
        assert "Retry-After" in resolved(operation["responses"]["409"])["headers"]
    if "If-Match" in parameters(operation):
        assert "ETag" in success(DOCUMENT["paths"][path]["get"])["headers"]


@every_operation
def test_bodies_and_answers_have_an_example_that_fits_their_schema(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    for media, content in {**body(operation), **success(operation).get("content", {})}.items():
        assert "example" in content, media
        if media == "application/json":
            assert_valid(content["schema"], content["example"])


@every_operation
def test_every_parameter_and_field_has_a_limit(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]
    schemas = {item["name"]: item["schema"] for item in operation.get("parameters", [])}
    if "application/json" in body(operation):
        schemas["body"] = body(operation)["application/json"]["schema"]
    found = [place for where, schema in schemas.items() for place in unlimited(schema, where)]
    assert not found


def unlimited(schema: Json, where: str, outer: Json | None = None) -> Iterator[str]:
    """The places in `schema` where a value may be as long or as large as it likes.

    `outer`: limits that stand beside an `anyOf` and so hold for each of its parts.
    """
    schema = resolved(schema)
    limits = {name: schema[name] for name in LIMITS if name in schema} | (outer or {})
    kind = schema.get("type")
    if schema.get("readOnly") or "enum" in schema or "const" in schema or kind in ("boolean", "null"):
        return
    if parts := schema.get("anyOf") or schema.get("allOf") or schema.get("oneOf"):
        for part in parts:
            yield from unlimited(part, where, limits)
    elif kind == "array":
        yield from () if "maxItems" in limits else (where,)
        yield from unlimited(schema["items"], f"{where}[]")
    elif kind == "object":
        yield from unlimited_object(schema, where, limits)
    elif not limited_scalar(kind, limits):
        yield where


def unlimited_object(schema: Json, where: str, limits: Json) -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield from unlimited(part, f"{where}.{name}")
    more = schema.get("additionalProperties", True)
    if more is not False:
        yield from () if "maxProperties" in limits else (f"{where}.*",)
        yield from unlimited(more if isinstance(more, dict) else {}, f"{where}.*")


def limited_scalar(kind: str | None, limits: Json) -> bool:
    if kind in ("integer", "number"):
        low = {"minimum", "exclusiveMinimum"} & limits.keys()
        high = {"maximum", "exclusiveMaximum"} & limits.keys()
        return bool(low and high)
    if kind == "string":
        return "maxLength" in limits or limits.get("format") == "date-time" or bounded(limits.get("pattern"))
    return False


def bounded(pattern: str | None) -> bool:
    """Whether the pattern is anchored at both ends and repeats nothing without end."""
    if pattern is None or not (pattern.startswith("^") and pattern.endswith("$")):
        return False
    return not re.search(r"[*+]|\{\d+,\}", re.sub(r"\[[^\]]*\]", "x", pattern))


def test_the_search_for_missing_limits_finds_them() -> None:
    texts = {"type": "array", "items": {"type": "string"}, "maxItems": 3}
    schema = {"type": "object", "properties": {"a": texts, "b": {"type": "integer", "minimum": 0}}}
    assert list(unlimited(schema, "body")) == ["body.a[]", "body.b", "body.*", "body.*"]
    assert not bounded("^[a-z]+$") and not bounded("[a-z]") and bounded("^[a-z+]{2}$")


def test_nothing_internal_and_nothing_of_the_framework_is_told() -> None:
    text = json.dumps(DOCUMENT)
    for word in ("internal/preflight", "gateway-errors", "HTTPValidationError", "/docs", "openapi.json"):
        assert word not in text
    assert [tag["name"] for tag in DOCUMENT["tags"]][:2] == ["campaigns", "templates"]
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"bearer"}


def test_every_component_is_used() -> None:
    text = json.dumps(DOCUMENT)
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert unused == []
