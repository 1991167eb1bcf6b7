"""Completes FastAPI's OpenAPI document: what every operation answers, and what its shape implies.

Mental model: FastAPI knows parameters, bodies and success; a route declares the errors of its domain
(`Answers`); the rest follows from its shape (`implied`). Here the three are laid together, operation by
operation, so that no route repeats what follows and none forgets it. Everything works on the plain
document, so one unit test can feed it any.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from service_kit.api.answers import HEADERS, SUCCESS, header_reference
from service_kit.api.envelope import Failure
from service_kit.api.implied import (
    DESCRIPTIONS,
    HEADER_COMPONENTS,
    constraint,
    implied,
    may_be_repeated,
    roles_of,
    shared_answers,
)

Json = dict[str, Any]
METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_SCHEMAS = "#/components/schemas/"


def complete(document: Json, *, max_body_bytes: int, examples: Path | None) -> Json:
    """`document` with everything that its operations imply, in place.

    `examples` is a folder of `<operationId>.request.json` and `<operationId>.response.json`.
    Raises KeyError when a file there belongs to no operation.
    """
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    failure = Failure.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas.update(failure.pop("$defs"), Failure=failure)
    rename_schemas(document, {name: _answer_name(name) for name in schemas if name.startswith("Success_")})
    components["headers"] = {HEADERS[name]: header for name, header in HEADER_COMPONENTS.items()}
    components["responses"] = shared_answers(max_body_bytes)
    given = _examples(examples)
    for operation in operations(document):
        _complete_operation(operation, components["responses"])
        _show_examples(operation, given)
        _describe_success(operation, schemas)
    if given:
        raise KeyError(f"examples of operations that do not exist: {sorted(given)}")
    _drop_unused(document)
    for node in (*_objects(document["paths"]), *_objects(schemas)):
        _tidy(node)
    return document


def _drop_unused(document: Json) -> None:
    """Forget schemas that nothing refers to: a patch holds those of its parts itself."""
    schemas: Json = document["components"]["schemas"]
    used = {str(node.get("$ref", "")).removeprefix(_SCHEMAS) for node in _objects(document)}
    if unused := schemas.keys() - used - {"Failure"}:
        for name in unused:
            del schemas[name]
        _drop_unused(document)


def _tidy(node: Json) -> None:
    """Drop titles (pydantic titles a field with its own name), and say 100 where FastAPI says 100.0."""
    if isinstance(node.get("title"), str):
        del node["title"]
    for limit in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        value = node.get(limit)
        if isinstance(value, float) and abs(value) <= 2**63:
            node[limit] = int(value) if value.is_integer() else value


def _answer_name(name: str) -> str:
    """`Success_TemplateOut_` → `TemplateAnswer`, `Success_Union_AOut__BOut__` → `AOrBAnswer`."""
    inner = name.removeprefix("Success_").removesuffix("_")
    parts = inner.removeprefix("Union_").strip("_").split("__")
    return f"{'Or'.join(part.removesuffix('Out') for part in parts)}Answer"


def rename_schemas(document: Json, names: Mapping[str, str]) -> None:
    """Give component schemas other names, everywhere in `document`."""
    schemas = document["components"]["schemas"]
    for old, new in names.items():
        schemas[new] = schemas.pop(old)
    for node in _objects(document):
        name = str(node.get("$ref", "")).removeprefix(_SCHEMAS)
        if name in names:
            node["$ref"] = f"{_SCHEMAS}{names[name]}"


def _objects(node: Any) -> Iterator[Json]:
    """Every object in `node`, but what examples and defaults hold: that is data."""
    if isinstance(node, list):
        for item in node:
            yield from _objects(item)
    elif isinstance(node, dict):
        yield node
        for name, item in node.items():
            if name not in ("example", "examples", "default"):
                yield from _objects(item)


def operations(document: Json) -> Iterator[Json]:
    """Every operation of the document."""
    for path in document.get("paths", {}).values():
        yield from (operation for method, operation in path.items() if method in METHODS)


def successes_of(operation: Json) -> list[Json]:
    """The successful answers: a redirect is one, too."""
    return [answer for status, answer in operation["responses"].items() if status[0] in "23"]


def _complete_operation(operation: Json, shared: Json) -> None:
    operation["summary"] = _sentence(operation["operationId"])
    if roles := roles_of(operation):
        told = [operation.get("description"), f"Needs the role `{roles[0]}`."]
        operation["description"] = "\n\n".join(text for text in told if text)
    for parameter in operation.get("parameters", []):
        # In a query or header nobody can send null: what is optional is left out.
        parameter["schema"] = {**parameter["schema"], **constraint(parameter["schema"])}
        parameter["schema"].pop("anyOf", None)
        parameter["schema"].pop("description", None)
    responses = operation["responses"]
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses["422"]
    declared = responses.pop(SUCCESS, {})
    for success in successes_of(operation):
        success.setdefault("headers", {}).update(declared.get("headers", {}))
        if may_be_repeated(operation):
            success["headers"]["Idempotency-Replayed"] = header_reference("Idempotency-Replayed")
    for status, answer in implied(operation).items():
        known = responses.setdefault(str(status), answer)
        if known is not answer:
            _add_answer(known, answer, shared)
    for status, answer in responses.items():
        if "$ref" not in answer:
            if status[0] not in "23":
                answer["description"] = DESCRIPTIONS[int(status)]
            headers = answer.setdefault("headers", {})
            headers["X-Request-Id"] = header_reference("X-Request-Id")
    operation["responses"] = dict(sorted(responses.items()))


def _describe_success(operation: Json, schemas: Json) -> None:
    """The words of the model under `data`, when the answer is a `Success` of one."""
    for answer in successes_of(operation):
        wrapper = _referred(answer.get("content", {}).get("application/json", {}).get("schema", {}), schemas)
        data = _referred(wrapper.get("properties", {}).get("data", {}), schemas)
        answer["description"] = data.get("description", "Done.")


def _referred(schema: Json, schemas: Json) -> Json:
    found: Json = schemas.get(str(schema.get("$ref", "")).removeprefix(_SCHEMAS), {})
    return found


def _add_answer(known: Json, more: Json, shared: Json) -> None:
    """Lay what is implied beside what the route declared under the same status."""
    if "$ref" in more:
        more = shared[more["$ref"].rpartition("/")[2]]
    known.setdefault("headers", {}).update(more.get("headers", {}))
    mine, theirs = (part["content"]["application/json"]["examples"] for part in (known, more))
    mine.update({name: example for name, example in theirs.items() if name not in mine})


def _examples(folder: Path | None) -> dict[tuple[str, str], Any]:
    """(operation id, request or response) → the example."""
    files = sorted(folder.glob("*.json")) if folder else []
    names = [(file, file.name.split(".")) for file in files]
    return {(name[0], name[1]): json.loads(file.read_text(encoding="utf-8")) for file, name in names}


def _show_examples(operation: Json, given: dict[tuple[str, str], Any]) -> None:
    """Take the operation's examples out of `given` and show them where they belong."""
    places = {"request": [operation.get("requestBody", {})], "response": successes_of(operation)}
    for kind, those in places.items():
        contents = [place["content"] for place in those if place.get("content")]
        if (operation["operationId"], kind) in given and contents:
            example = given.pop((operation["operationId"], kind))
            for content in contents:
                next(iter(content.values()))["example"] = example


def _sentence(operation_id: str) -> str:
    """`listCampaigns` → `List campaigns`."""
    return re.sub(r"[A-Z]", lambda letter: f" {letter[0].lower()}", operation_id).capitalize()
