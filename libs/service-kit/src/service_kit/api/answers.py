"""What a route declares about its answers, beyond what its shape already says.

    answers = Answers(STATUSES)                                # once per service, in entrypoints/errors.py

    @router.delete("/{campaign_id}", operation_id="deleteCampaign",
                   responses=answers(CampaignNotFound, InvalidTransition("active", "deleted")))

Each error is shown under its status as an example, with its own code and message. What follows from the
route itself (401, 403, 400, 413, 415, 422, 503, …) is added by `service_kit.api.openapi`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from service_kit.api.errors import SHARED_STATUSES, status_of
from service_kit.errors import ServiceError

REQUEST_ID = "req_01J9ZK3V7Q4T5N8M2X6C0B1D9F"
HEADERS = {
    "X-Request-Id": "RequestId",
    "Retry-After": "RetryAfter",
    "WWW-Authenticate": "Authenticate",
    "ETag": "Version",
    "Idempotency-Replayed": "Replayed",
    "Cache-Control": "NotStored",
    "Location": "Location",
}
"""Headers of answers, and what each is called among the document's components."""
SUCCESS = "2XX"
"""Where `Answers` leaves what belongs to the successful answer, whatever its status."""


class Answers:
    """Makes `responses=` of routes, with the statuses of one service's table."""

    def __init__(self, statuses: Mapping[type[ServiceError], int]) -> None:
        self._table = {**SHARED_STATUSES, **statuses}

    def __call__(
        self, *errors: ServiceError | type[ServiceError], headers: Sequence[str] = ()
    ) -> dict[int | str, dict[str, Any]]:
        """The errors that a route may raise, and the headers that its success carries.

        An error class stands for itself; give an instance where its message depends on arguments.
        """
        found: dict[int | str, dict[str, Any]] = {}
        for given in errors:
            error = given() if isinstance(given, type) else given
            status = status_of(error, self._table)
            examples = found.setdefault(status, error_answer({}))["content"]["application/json"]["examples"]
            examples[_free_name(error.code, examples)] = {
                "summary": error.message,
                "value": error_body(error.code, error.message, [(d.field, d.message) for d in error.details]),
            }
        if headers:
            found[SUCCESS] = {"headers": {name: header_reference(name) for name in headers}}
        return found


def error_body(code: str, message: str, details: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The error envelope as an example."""
    told = [{"field": field, "message": rule} for field, rule in details]
    error = {"code": code, "message": message, "details": told}
    return {"success": False, "error": error, "requestId": REQUEST_ID}


def error_answer(examples: dict[str, Any]) -> dict[str, Any]:
    """A response object in the envelope."""
    return {"content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Failure"}, "examples": examples,
    }}}  # fmt: skip


def header_reference(name: str) -> dict[str, str]:
    """The header's definition among the components. Raises KeyError for one that has none."""
    return {"$ref": f"#/components/headers/{HEADERS[name]}"}


def _free_name(code: str, taken: Mapping[str, Any]) -> str:
    """`NOT_FOUND`, then `NOT_FOUND_2`: two errors may share a code."""
    names = [code, *(f"{code}_{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)
