"""Exceptions to answers: the statuses that every service shares, and the envelope around them."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service_kit.api.log_path import log_path
from service_kit.auth import NotAuthenticated, RoleTooLow
from service_kit.errors import DependencyDown, Detail, FieldErrors, ServiceError
from service_kit.idempotency.keys import KeyInFlight, KeyReused
from service_kit.logging import get_logger
from service_kit.mongo.client import is_unavailable

log = get_logger()

SHARED_STATUSES: dict[type[ServiceError], int] = {
    NotAuthenticated: 401,
    RoleTooLow: 403,
    FieldErrors: 422,
    DependencyDown: 503,
    KeyReused: 422,
    KeyInFlight: 409,
}
_HTTP_CODES = {
    400: "MALFORMED_JSON", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE", 502: "BAD_GATEWAY", 503: "SERVICE_UNAVAILABLE", 504: "GATEWAY_TIMEOUT",
}  # fmt: skip
_HTTP_MESSAGES = {
    400: "the body cannot be read as JSON",
    404: "there is nothing here",
}
RETRY_AFTER_SECONDS = "2"


def failure(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: Sequence[Detail] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The error envelope."""
    extra = dict(headers or {})
    if status == 401:
        extra["WWW-Authenticate"] = "Bearer"
    if status == 503:
        extra["Retry-After"] = RETRY_AFTER_SECONDS
    body = {
        "success": False,
        "error": {
            "code": code,
            "message": message,
            "details": [{"field": item.field, "message": item.message} for item in details],
        },
        "requestId": getattr(request.state, "request_id", ""),
    }
    return JSONResponse(body, status_code=status, headers=extra)


def status_of(error: ServiceError, table: Mapping[type[ServiceError], int]) -> int:
    """The status of the error's class, or of the nearest class above it that has one."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def install(app: FastAPI, statuses: Mapping[type[ServiceError], int]) -> None:
    """Answer every exception in the envelope; `statuses` is the service's own table."""
    table = {**SHARED_STATUSES, **statuses}

    async def on_service_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ServiceError)  # noqa: S101 - registered for this type only
        wait = error.retry_after_seconds
        headers = None if wait is None else {"Retry-After": str(wait)}
        return failure(request, status_of(error, table), error.code, error.message, error.details, headers)

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RecursionError, _on_deep_json)
    app.add_exception_handler(PyMongoError, _on_mongo)
    app.add_exception_handler(TimeoutError, _on_timeout)


async def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems: list[Any] = jsonable_encoder(
        [{k: e[k] for k in ("type", "loc", "msg")} for e in error.errors()]
    )
    if any(problem["type"] == "json_invalid" for problem in problems):
        return failure(request, 400, "MALFORMED_JSON", "the body is not valid JSON")
    if all(problem["loc"][0] == "path" for problem in problems):
        return failure(request, 404, "NOT_FOUND", "there is nothing here")
    details = [Detail(_field(item["loc"]), _rule(item["msg"])) for item in problems[:50]]
    if all(problem["loc"][0] in ("query", "header") for problem in problems):
        return failure(
            request, 400, "INVALID_PARAMETER", f"{details[0].field}: {details[0].message}", details
        )
    return failure(request, 422, "VALIDATION_FAILED", f"{details[0].field}: {details[0].message}", details)


def _field(loc: Sequence[Any]) -> str:
    """`("body", "messages", 0, "content")` → `messages.0.content`."""
    return ".".join(str(part) for part in loc[1:]) or "body"


def _rule(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "unknown field")


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _HTTP_CODES.get(error.status_code, "ERROR")
    message = _HTTP_MESSAGES.get(error.status_code, str(error.detail))
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return failure(request, error.status_code, code, message, headers=headers)


def _allowed(request: Request) -> str:
    """Every method of the path: Starlette names only those of the first route that has it."""
    app: FastAPI = request.app
    methods = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
    scopes = ((method, {**request.scope, "method": method}) for method in methods)
    return ", ".join(
        method
        for method, scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in app.routes)
    )


async def _on_deep_json(request: Request, _error: Exception) -> JSONResponse:
    return failure(request, 400, "MALFORMED_JSON", "the body is nested too deeply")


async def _on_mongo(request: Request, error: Exception) -> JSONResponse:
    if is_unavailable(error):
        log.warning("request.dependency_down", dependency="mongo", reason=type(error).__name__)
        return failure(request, 503, DependencyDown.code, DependencyDown().message)
    raise error


async def _on_timeout(request: Request, _error: Exception) -> JSONResponse:
    return failure(request, 503, DependencyDown.code, DependencyDown().message)


def unforeseen(request: Request, error: Exception) -> JSONResponse:
    """The answer to a bug: logged with everything, told with nothing."""
    log.error("request.failed", path=log_path(request.scope), exc_info=error)
    return failure(
        request, 500, "INTERNAL", "something went wrong on our side; the request id finds it in the logs"
    )
