"""Completes FastAPI's OpenAPI document: what every operation answers, and what its shape implies.

Mental model: FastAPI knows parameters, bodies and success; a route declares the errors of its domain
(`Answers`). The rest follows from the shape: a body that is JSON can be malformed, too long, of another
type or break a rule; a query can be out of range; a role can be too low; a database can be away. Here
that is written down per operation, with an example of each, so that no route repeats it and none forgets
it. Everything works on the plain document, so one unit test can feed it any.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from service_kit.api.answers import HEADERS, SUCCESS, error_answer, error_body, header_reference
from service_kit.api.envelope import Failure
from service_kit.idempotency.keys import KeyInFlight, KeyReused

Json = dict[str, Any]
Error = tuple[str, str, Sequence[tuple[str, str]]]
"""Code, message, and the fields with the rules that they break."""
METHODS = frozenset({"get", "put", "post", "delete", "patch"})
SCHEME = "bearer"
_SCHEMAS = "#/components/schemas/"
DESCRIPTIONS = {
    400: "Malformed JSON, or a parameter that is out of range.",
    401: "No valid token.",
    403: "The token's role does not allow it.",
    404: "Not in your organisation.",
    409: "It does not fit the present state.",
    412: "`If-Match` names another version than the present one.",
    413: "The body is over the limit.",
    415: "The body is of another media type.",
    422: "A field breaks a rule; `details` names it.",
    503: "A dependency does not answer. Try again after `Retry-After` seconds.",
}
_SHARED = {401: "Unauthenticated", 403: "Forbidden", 413: "PayloadTooLarge", 503: "Unavailable"}
_HEADER_COMPONENTS: dict[str, Json] = {
    "X-Request-Id": {"description": "The request's id: the client's own when it sent a sane one.",
                     "schema": {"type": "string"}, "required": True},
    "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string", "const": "Bearer"}},
    "ETag": {"description": "The version, for `If-Match`.", "schema": {"type": "string"}, "example": '"3"'},
    "Idempotency-Replayed": {"description": "`true` when this is the first answer again.",
                             "schema": {"type": "string", "const": "true"}},
    "Cache-Control": {"description": "`no-store`: the answer holds a secret.", "schema": {"type": "string"}},
}  # fmt: skip


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
    components["headers"] = {HEADERS[name]: header for name, header in _HEADER_COMPONENTS.items()}
    components["responses"] = _shared_answers(max_body_bytes)
    given = _examples(examples)
    for operation in operations(document):
        _complete_operation(operation, components["responses"])
        _show_examples(operation, given)
        _describe_success(operation, schemas)
    if given:
        raise KeyError(f"examples of operations that do not exist: {sorted(given)}")
    for node in (*_objects(document["paths"]), *_objects(schemas)):
        if isinstance(node.get("title"), str):
            del node["title"]  # pydantic titles every field with its own name again
    return document


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


def success_of(operation: Json) -> Json:
    """The successful answer."""
    found: Json = next(answer for status, answer in operation["responses"].items() if status[0] == "2")
    return found


def _complete_operation(operation: Json, shared: Json) -> None:
    operation["summary"] = _sentence(operation["operationId"])
    if roles := _roles(operation):
        operation["description"] += f"\n\nNeeds the role `{roles[0]}`."
    for parameter in operation.get("parameters", []):
        # In a query or header nobody can send null: what is optional is left out.
        parameter["schema"] = {**parameter["schema"], **_constraint(parameter["schema"])}
        parameter["schema"].pop("anyOf", None)
        parameter["schema"].pop("description", None)
    responses = operation["responses"]
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses["422"]
    declared = responses.pop(SUCCESS, {})
    success = success_of(operation)
    success.setdefault("headers", {}).update(declared.get("headers", {}))
    if _may_be_repeated(operation):
        success["headers"]["Idempotency-Replayed"] = header_reference("Idempotency-Replayed")
    for status, answer in _implied(operation).items():
        known = responses.setdefault(str(status), answer)
        if known is not answer:
            _add_answer(known, answer, shared)
    for status, answer in responses.items():
        if "$ref" not in answer:
            if status[0] != "2":
                answer["description"] = DESCRIPTIONS[int(status)]
            headers = answer.setdefault("headers", {})
            headers["X-Request-Id"] = header_reference("X-Request-Id")
    operation["responses"] = dict(sorted(responses.items()))


def _describe_success(operation: Json, schemas: Json) -> None:
    """The words of the model under `data`, when the answer is a `Success` of one."""
    answer = success_of(operation)
    wrapper = _referred(answer.get("content", {}).get("application/json", {}).get("schema", {}), schemas)
    data = _referred(wrapper.get("properties", {}).get("data", {}), schemas)
    answer["description"] = data.get("description", "Done.")


def _referred(schema: Json, schemas: Json) -> Json:
    found: Json = schemas.get(str(schema.get("$ref", "")).removeprefix(_SCHEMAS), {})
    return found


def _add_answer(known: Json, implied: Json, shared: Json) -> None:
    """Lay what is implied beside what the route declared under the same status."""
    if "$ref" in implied:
        implied = shared[implied["$ref"].rpartition("/")[2]]
    known.setdefault("headers", {}).update(implied.get("headers", {}))
    mine, theirs = (part["content"]["application/json"]["examples"] for part in (known, implied))
    mine.update({name: example for name, example in theirs.items() if name not in mine})


def _implied(operation: Json) -> dict[int, Json]:
    """What the operation may answer because of its shape, by status."""
    errors: defaultdict[int, list[Error]] = defaultdict(list)
    body = operation.get("requestBody", {}).get("content", {})
    kinds = [parameter["in"] for parameter in operation.get("parameters", [])]
    if "path" in kinds:
        errors[404].append(("NOT_FOUND", "there is nothing here", ()))
    if "application/json" in body:
        errors[400].append(("MALFORMED_JSON", "the body is not valid JSON", ()))
        errors[422].append(("VALIDATION_FAILED", "colour: unknown field", (("colour", "unknown field"),)))
    if limited := [parameter for parameter in operation.get("parameters", []) if parameter["in"] != "path"]:
        field, rule = _broken_rule(limited[0])
        errors[400].append(("INVALID_PARAMETER", f"{field}: {rule}", ((field, rule),)))
    if body:
        errors[415].append(("UNSUPPORTED_MEDIA_TYPE", f"send {' or '.join(body)}", ()))
    if _may_be_repeated(operation):
        errors[409].append((KeyInFlight.code, KeyInFlight().message, ()))
        errors[422].append((KeyReused.code, KeyReused().message, ()))
    found = {status: _answer(status, *those) for status, those in errors.items()}
    if _may_be_repeated(operation):
        found[409]["headers"] = {"Retry-After": header_reference("Retry-After")}
    roles = _roles(operation)
    shared = {
        503: True,
        401: bool(roles),
        403: roles not in ([], ["viewer"]),
        413: "application/json" in body,
    }
    return found | {status: _shared(status) for status, applies in shared.items() if applies}


def _roles(operation: Json) -> list[str]:
    return [role for entry in operation.get("security", []) for role in entry.get(SCHEME, [])]


def _may_be_repeated(operation: Json) -> bool:
    return any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))


def _broken_rule(parameter: Json) -> tuple[str, str]:
    """The parameter's name and what is said when it is out of its range."""
    schema = _constraint(parameter["schema"])
    if "maximum" in schema:
        rule = f"Input should be less than or equal to {schema['maximum']}"
    elif "enum" in schema:
        first, last = [f"'{value}'" for value in schema["enum"][:-1]], f"'{schema['enum'][-1]}'"
        rule = f"Input should be {', '.join(first)} or {last}"
    elif "pattern" in schema:
        rule = f"String should match pattern '{schema['pattern']}'"
    elif "maxLength" in schema:
        rule = f"String should have at most {schema['maxLength']} characters"
    else:
        rule = "Input is not valid"
    return parameter["name"], rule


def _constraint(schema: Json) -> Json:
    """The part of `X | null` that says something."""
    return next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)


def _answer(status: int, *errors: Error) -> Json:
    examples = {
        code: {"summary": message, "value": error_body(code, message, details)}
        for code, message, details in errors
    }
    return {"description": DESCRIPTIONS[status], **error_answer(examples)}


def _shared(status: int) -> Json:
    return {"$ref": f"#/components/responses/{_SHARED[status]}"}


def _shared_answers(max_body_bytes: int) -> Json:
    errors = {
        401: ("UNAUTHENTICATED", "A valid bearer token is required."),
        403: ("FORBIDDEN", "this needs the role editor"),
        413: ("PAYLOAD_TOO_LARGE", f"the body is over {max_body_bytes} bytes"),
        503: (
            "SERVICE_UNAVAILABLE",
            "A part of the system that this needs is not available. Try again shortly.",
        ),
    }
    more = {401: ("WWW-Authenticate",), 503: ("Retry-After",)}
    return {
        _SHARED[status]: {
            **_answer(status, (code, message, ())),
            "headers": {name: header_reference(name) for name in ("X-Request-Id", *more.get(status, ()))},
        }
        for status, (code, message) in errors.items()
    }


def _examples(folder: Path | None) -> dict[tuple[str, str], Any]:
    """(operation id, request or response) → the example."""
    files = sorted(folder.glob("*.json")) if folder else []
    names = [(file, file.name.split(".")) for file in files]
    return {(name[0], name[1]): json.loads(file.read_text(encoding="utf-8")) for file, name in names}


def _show_examples(operation: Json, given: dict[tuple[str, str], Any]) -> None:
    """Take the operation's examples out of `given` and show them where they belong."""
    places = {"request": operation.get("requestBody", {}), "response": success_of(operation)}
    for kind, place in places.items():
        if (operation["operationId"], kind) in given and place.get("content"):
            example = given.pop((operation["operationId"], kind))
            next(iter(place["content"].values()))["example"] = example


def _sentence(operation_id: str) -> str:
    """`listCampaigns` → `List campaigns`."""
    return re.sub(r"[A-Z]", lambda letter: f" {letter[0].lower()}", operation_id).capitalize()
