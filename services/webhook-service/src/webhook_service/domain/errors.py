"""What a client of this service may have done wrong.

    ServiceError
    ├── EndpointNotFound    no such webhook in the caller's organisation
    └── TargetRefused       the url breaks a rule; details name the field `url`

An error class's docstring is its message, unless one is given.
"""

from service_kit.errors import Detail, FieldErrors, ServiceError


class EndpointNotFound(ServiceError):
    """There is no such webhook."""

    code = "NOT_FOUND"


class TargetRefused(FieldErrors):
    """The url cannot be delivered to."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"url: {rule}", details=[Detail("url", rule)])
