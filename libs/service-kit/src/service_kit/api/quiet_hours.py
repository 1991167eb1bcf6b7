"""Quiet hours as requests and answers have them, wherever they can be set."""

from pydantic import Field

from service_kit.api.envelope import RequestModel, ResponseModel
from service_kit.api.types import TimeOfDay


class QuietHoursIn(RequestModel):
    """No messages from `from` until before `to`; `from` after `to` spans midnight, equal ones mean none."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay


class QuietHoursOut(ResponseModel):
    """Times on a clock on the wall."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
