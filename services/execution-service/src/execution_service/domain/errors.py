"""What can go wrong in this service, for a client to see.

    ServiceError
    ├── ContactNotFound     404
    ├── SegmentNotFound     404
    ├── SegmentExists       409
    ├── BotNotFound         404
    └── BotExists           409

Fields that break a rule are `FieldErrors` of the kit. A docstring is the message.
"""

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


class BotNotFound(ServiceError):
    """There is no such bot."""

    code = "NOT_FOUND"


class BotExists(ServiceError):
    """This Telegram bot is registered already."""

    code = "BOT_EXISTS"
