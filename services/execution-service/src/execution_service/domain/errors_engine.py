"""What can go wrong when executions are read, for a client to see.

ServiceError
├── CampaignNotFound    404
├── ExecutionNotFound   404
└── CursorInvalid       400
"""

from service_kit.errors import ServiceError


class CampaignNotFound(ServiceError):
    """There is no such campaign."""

    code = "NOT_FOUND"


class ExecutionNotFound(ServiceError):
    """There is no such execution of this campaign."""

    code = "NOT_FOUND"


class CursorInvalid(ServiceError):
    """The cursor is not one that this list has given."""

    code = "INVALID_PARAMETER"
