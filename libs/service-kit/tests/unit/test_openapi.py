"""The document says what an operation answers because of its shape, and what its route declares."""

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Query, Response
from service_kit.api.answers import Answers
from service_kit.api.app import Editor, Viewer, create_api
from service_kit.api.envelope import RequestModel, ResponseModel, Success
from service_kit.api.idempotency import Once
from service_kit.api.types import Name, PathId
from service_kit.errors import Detail, ServiceError
from service_kit.settings import ServiceSettings

SETTINGS = ServiceSettings(
    kafka_bootstrap_servers="localhost:1", mongo_url="mongodb://localhost:1", jwt_secret="s" * 32
)


class ThingNotFound(ServiceError):
    """There is no such thing."""

    code = "NOT_FOUND"


class ThingBusy(ServiceError):
    """The thing is busy."""

    code = "THING_BUSY"

    def __init__(self, since: str) -> None:
        super().__init__(f"busy since {since}", details=[Detail("status", since)])


class ThingTooLarge(ServiceError):
    """The thing would become too large."""

    code = "THING_TOO_LARGE"


STATUSES: dict[type[ServiceError], int] = {ThingNotFound: 404, ThingBusy: 409, ThingTooLarge: 413}
answers = Answers(STATUSES)
router = APIRouter(tags=["things"])


class ThingIn(RequestModel):
    """A thing to be."""

    name: Name


class ThingOut(ResponseModel):
    """A thing."""

    name: str


class NoneOut(ResponseModel):
    """No thing."""

    why: str


@router.get("/things", operation_id="listThings")
async def page(
    _who: Viewer,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=9)] = None,
) -> Success[ThingOut]:
    """Some things."""
    return Success(data=ThingOut(name=str(limit)))


@router.put(
    "/things/{thing_id}",
    operation_id="changeBigThing",
    responses=answers(ThingNotFound, ThingBusy("noon"), ThingTooLarge, headers=["ETag"]),
)
async def change(thing_id: PathId, body: ThingIn, _who: Editor) -> Success[ThingOut]:
    """Change it."""
    return Success(data=ThingOut(name=body.name))


@router.post(
    "/things",
    operation_id="makeThing",
    response_model=Success[ThingOut | NoneOut],
    responses=answers(ThingBusy("noon")),
)
async def make(body: ThingIn, _who: Editor, _once: Once) -> Response:
    """Make one."""
    return Response()


@router.post(
    "/things/import",
    operation_id="importThings",
    openapi_extra={"requestBody": {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def take(_who: Editor) -> Success[ThingOut]:
    """Take many."""
    return Success(data=ThingOut(name=""))


def document(examples: Path | None = None) -> dict[str, Any]:
    app = create_api(
        title="things", routers=[router], settings=SETTINGS, statuses=STATUSES, examples=examples
    )
    return app.openapi()


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][f"/api/v1{path}"][method]
    return found


def codes(answer: dict[str, Any]) -> list[str]:
    return [
        example["value"]["error"]["code"]
        for example in answer["content"]["application/json"]["examples"].values()
    ]


def test_an_operation_answers_what_its_shape_implies_and_nothing_else() -> None:
    assert set(operation("get", "/things")["responses"]) == {"200", "400", "401", "503"}
    assert set(operation("put", "/things/{thing_id}")["responses"]) == {
        "200", "400", "401", "403", "404", "409", "413", "415", "422", "503",
    }  # fmt: skip
    assert set(operation("post", "/things/import")["responses"]) == {"200", "401", "403", "415", "503"}


def test_declared_errors_are_examples_with_their_own_words() -> None:
    found = operation("put", "/things/{thing_id}")["responses"]
    assert codes(found["404"]) == ["NOT_FOUND"]
    example = found["409"]["content"]["application/json"]["examples"]["THING_BUSY"]["value"]
    assert example["error"] == {
        "code": "THING_BUSY", "message": "busy since noon", "details": [{"field": "status", "message": "noon"}],
    }  # fmt: skip


def test_a_broken_limit_is_shown_with_the_operations_own_parameter() -> None:
    found = operation("get", "/things")["responses"]["400"]["content"]["application/json"]["examples"]
    assert found["INVALID_PARAMETER"]["value"]["error"]["details"] == [
        {"field": "limit", "message": "Input should be less than or equal to 100"}
    ]


def test_headers_are_told_where_they_come() -> None:
    found = operation("put", "/things/{thing_id}")["responses"]
    assert set(found["200"]["headers"]) == {"ETag", "X-Request-Id"}
    assert set(found["409"]["headers"]) == {"X-Request-Id"}
    shared = document()["components"]["responses"]
    assert "Retry-After" in shared["Unavailable"]["headers"]
    assert "WWW-Authenticate" in shared["Unauthenticated"]["headers"]


def test_what_may_be_repeated_tells_of_keys_beside_its_own_errors() -> None:
    found = operation("post", "/things")["responses"]
    assert codes(found["409"]) == ["THING_BUSY", "IDEMPOTENCY_KEY_IN_FLIGHT"]
    assert codes(found["422"]) == ["VALIDATION_FAILED", "IDEMPOTENCY_KEY_REUSED"]
    assert set(found["409"]["headers"]) == {"X-Request-Id", "Retry-After"}
    assert set(found["200"]["headers"]) == {"X-Request-Id", "Idempotency-Replayed"}


def test_a_declared_error_joins_the_one_that_every_body_may_meet() -> None:
    found = operation("put", "/things/{thing_id}")["responses"]["413"]
    assert codes(found) == ["THING_TOO_LARGE", "PAYLOAD_TOO_LARGE"]
    examples = found["content"]["application/json"]["examples"]
    assert "524288" in examples["PAYLOAD_TOO_LARGE"]["value"]["error"]["message"]


def test_the_role_is_the_scope_and_the_summary_is_the_operations_name() -> None:
    found = operation("put", "/things/{thing_id}")
    assert found["security"] == [{"bearer": ["editor"]}]
    assert found["description"] == "Change it.\n\nNeeds the role `editor`."
    assert found["summary"] == "Change big thing"


def test_a_parameter_that_may_be_left_out_is_not_said_to_be_null() -> None:
    schemas = {item["name"]: item["schema"] for item in operation("get", "/things")["parameters"]}
    assert schemas["after"] == {"type": "string", "maxLength": 9}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert isinstance(schemas["limit"]["maximum"], int)


def test_answers_are_named_after_what_they_hold() -> None:
    path = document()["paths"]["/api/v1/things"]["post"]["responses"]["200"]
    schema = path["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ThingOrNoneAnswer"}


def test_the_frameworks_own_errors_do_not_appear() -> None:
    assert "ValidationError" not in json.dumps(document())
    assert set(document()["components"]["schemas"]) >= {
        "Failure",
        "ErrorBody",
        "ErrorDetail",
        "ThingAnswer",
    }


def test_examples_are_read_from_files_named_after_the_operation(tmp_path: Path) -> None:
    (tmp_path / "changeBigThing.request.json").write_text('{"name": "Anvil", "note": null}')
    (tmp_path / "changeBigThing.response.json").write_text('{"success": true}')
    found = document(tmp_path)["paths"]["/api/v1/things/{thing_id}"]["put"]
    assert found["requestBody"]["content"]["application/json"]["example"] == {"name": "Anvil", "note": None}
    assert found["responses"]["200"]["content"]["application/json"]["example"] == {"success": True}


def test_an_example_of_no_operation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "paintThing.request.json").write_text("{}")
    with pytest.raises(KeyError, match="paintThing"):
        document(tmp_path)
