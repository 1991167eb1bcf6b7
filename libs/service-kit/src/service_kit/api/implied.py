"""What an operation may answer because of its shape, with an example of each.

A body that is JSON can be malformed, too long, of another type or break a rule; a query can be out of
range; a role can be too low; a key can be reused; a database can be away.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from service_kit.api.answers import error_answer, error_body, header_reference
from service_kit.idempotency.keys import KeyInFlight, KeyReused

Json = dict[str, Any]
Error = tuple[str, str, Sequence[tuple[str, str]]]
"""Code, message, and the fields with the rules that they break."""
SCHEME = "bearer"
DESCRIPTIONS = {
    400: "Malformed JSON, or a parameter that is out of range.",
    401: "No valid token.",
    403: "The token's role does not allow it.",
    404: "There is none, or not in your organisation.",
    409: "It does not fit the present state.",
    412: "`If-Match` names another version than the present one.",
    413: "The body is over the limit.",
    415: "The body is of another media type.",
    422: "A field breaks a rule; `details` names it.",
    503: "A dependency does not answer. Try again after `Retry-After` seconds.",
}
_SHARED = {401: "Unauthenticated", 403: "Forbidden", 413: "PayloadTooLarge", 503: "Unavailable"}
HEADER_COMPONENTS: dict[str, Json] = {
    "X-Request-Id": {"description": "The request's id: the client's own when it sent a sane one.",
                     "schema": {"type": "string"}, "required": True},
    "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string", "const": "Bearer"}},
    "ETag": {"description": "The version, for `If-Match`.", "schema": {"type": "string"}, "example": '"3"'},
    "Idempotency-Replayed": {"description": "`true` when this is the first answer again.",
                             "schema": {"type": "string", "const": "true"}},
    "Cache-Control": {"description": "`no-store`: this answer is for this request alone.",
                      "schema": {"type": "string"}},
    "Location": {"description": "Where to go on.", "schema": {"type": "string", "format": "uri"}},
}  # fmt: skip


def implied(operation: Json) -> dict[int, Json]:
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
    if may_be_repeated(operation):
        errors[409].append((KeyInFlight.code, KeyInFlight().message, ()))
        errors[422].append((KeyReused.code, KeyReused().message, ()))
    found = {status: _answer(status, *those) for status, those in errors.items()}
    if may_be_repeated(operation):
        found[409]["headers"] = {"Retry-After": header_reference("Retry-After")}
    roles = roles_of(operation)
    shared = {
        503: True,
        401: bool(roles),
        403: roles not in ([], ["viewer"]),
        413: "application/json" in body,
    }
    return found | {status: _shared(status) for status, applies in shared.items() if applies}


def roles_of(operation: Json) -> list[str]:
    """The least role, or none where no token is asked for."""
    return [role for entry in operation.get("security", []) for role in entry.get(SCHEME, [])]


def may_be_repeated(operation: Json) -> bool:
    """Whether it takes an `Idempotency-Key`."""
    return any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))


def _broken_rule(parameter: Json) -> tuple[str, str]:
    """The parameter's name and what is said when it is out of its range."""
    schema = constraint(parameter["schema"])
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


def constraint(schema: Json) -> Json:
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


def shared_answers(max_body_bytes: int) -> Json:
    """The answers that are the same for every operation, by their names among the components."""
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
