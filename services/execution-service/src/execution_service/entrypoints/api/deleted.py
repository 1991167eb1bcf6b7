"""The answer to a DELETE."""

from service_kit.api.envelope import ResponseModel


class Deleted(ResponseModel):
    """It is done."""

    message: str
