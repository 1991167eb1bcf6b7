"""The two shapes of an answer: `{"success": true, "data": …}` and the error envelope."""

from typing import Generic, Literal, TypeVar

from contracts.envelope import UtcTime
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class ResponseModel(BaseModel):
    """Base of everything in answers: camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class RequestModel(BaseModel):
    """Base of request bodies: camelCase, unknown fields refused, no NaN or infinity."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, extra="forbid", allow_inf_nan=False, strict=False
    )


class Success(BaseModel, Generic[T]):
    """A successful answer."""

    success: Literal[True] = True
    data: T


class ErrorDetail(BaseModel):
    """One field and the rule that it breaks."""

    field: str = Field(examples=["goals.revenue"])
    message: str


class ErrorBody(BaseModel):
    """What went wrong: a code for programs, a message for people."""

    code: str = Field(examples=["VALIDATION_FAILED"])
    message: str
    details: list[ErrorDetail] = Field(default_factory=list)


class Failure(ResponseModel):
    """Every error answer."""

    success: Literal[False] = False
    error: ErrorBody
    request_id: str


class Pagination(ResponseModel):
    """Where a page stands in its list."""

    page: int
    limit: int
    total: int
    pages: int

    @classmethod
    def of(cls, *, page: int, limit: int, total: int) -> "Pagination":
        """The page's place, `pages` being at least… as many as `total` needs (0 for none)."""
        return cls(page=page, limit=limit, total=total, pages=-(-total // limit))


__all__ = [
    "ErrorBody",
    "ErrorDetail",
    "Failure",
    "Pagination",
    "RequestModel",
    "ResponseModel",
    "Success",
    "UtcTime",
]
