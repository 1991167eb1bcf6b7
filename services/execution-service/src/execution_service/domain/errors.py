"""What can go wrong in this service, for a client to see.

    ServiceError
    ├── ContactNotFound     404
    ├── SegmentNotFound     404
    ├── SegmentExists       409
    ├── SegmentInUse        409
    ├── ImportNotFound      404
    ├── ImportRunning       409
    ├── ImportIdReused      422
    ├── BotNotFound         404
    ├── BotExists           409
    ├── BotInUse            409
    └── PreconditionFailed  412

Fields that break a rule are `FieldErrors` of the kit. A docstring is the message.
"""

from typing import ClassVar

from service_kit.errors import ServiceError


class ContactNotFound(ServiceError):
    """There is no such contact."""

    code = "NOT_FOUND"


class SegmentNotFound(ServiceError):
    """There is no such segment."""

    code = "NOT_FOUND"


class SegmentExists(ServiceError):
    """A segment with this id exists already."""

    code = "SEGMENT_EXISTS"


class SegmentInUse(ServiceError):
    """A campaign that has not ended uses this segment."""

    code = "SEGMENT_IN_USE"


class ImportNotFound(ServiceError):
    """There is no such import."""

    code = "NOT_FOUND"


class ImportRunning(ServiceError):
    """An upload with this importId is still under way, or has just broken off. Try again shortly."""

    code = "IMPORT_RUNNING"
    retry_after_seconds: ClassVar[int | None] = 5


class ImportIdReused(ServiceError):
    """This importId belongs to another file; take a new one."""

    code = "IMPORT_ID_REUSED"


class BotNotFound(ServiceError):
    """There is no such bot."""

    code = "NOT_FOUND"


class BotExists(ServiceError):
    """This Telegram bot is registered already."""

    code = "BOT_EXISTS"


class BotInUse(ServiceError):
    """An execution that has not ended uses this bot."""

    code = "BOT_IN_USE"


class PreconditionFailed(ServiceError):
    """The version is another than If-Match names; read it again."""

    code = "PRECONDITION_FAILED"
