"""What a client of this service may have done wrong.

    ServiceError
    ├── EndpointNotFound      no such webhook in the caller's organisation
    ├── DeliveryNotFound      no such delivery to this webhook
    ├── EndpointDisabled      nothing is sent while the webhook is switched off
    ├── DeliveryUnderWay      the delivery is being attempted just now
    ├── TooManyAttempts       the delivery's log is full
    ├── TooManySecrets        so many replaced secrets are still valid
    ├── TooManyEndpoints      the organisation has as many webhooks as it may have
    ├── VersionConflict       somebody else changed the webhook at the same moment
    ├── PreconditionFailed    the version is none of those in `If-Match`
    └── FieldErrors (kit)
        ├── TargetRefused     the url breaks a rule; details name the field `url`
        └── HeaderRefused     a header's value is not given

An error class's docstring is its message, unless one is given.
"""

from service_kit.errors import Detail, FieldErrors, ServiceError

MAX_ATTEMPTS = 1_000
"""A delivery with so many attempts is not retried by hand: its log is one document."""
MAX_SECRETS = 5
"""How many secrets of an endpoint may be valid at once: each adds a signature to every request."""


class EndpointNotFound(ServiceError):
    """There is no such webhook."""

    code = "NOT_FOUND"


class DeliveryNotFound(ServiceError):
    """There is no such delivery."""

    code = "NOT_FOUND"


class EndpointDisabled(ServiceError):
    """The webhook is switched off; PUT active: true first."""

    code = "WEBHOOK_DISABLED"


class DeliveryUnderWay(ServiceError):
    """The delivery is being attempted just now."""

    code = "DELIVERY_UNDER_WAY"
    retry_after_seconds = 15


class TooManyAttempts(ServiceError):
    """The delivery was attempted 1,000 times: that is enough."""

    code = "TOO_MANY_ATTEMPTS"


class TooManySecrets(ServiceError):
    """At most 5 secrets may be valid at once: wait until the oldest one has expired."""

    code = "TOO_MANY_SECRETS"


class TooManyEndpoints(ServiceError):
    """The organisation has as many webhooks as it may have."""

    code = "TOO_MANY_WEBHOOKS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"An organisation may have {limit:,} webhooks at most: delete one first.")


class VersionConflict(ServiceError):
    """Somebody else changed this at the same moment; read it again."""

    code = "VERSION_CONFLICT"


class PreconditionFailed(ServiceError):
    """The version is another than If-Match names; read it again."""

    code = "PRECONDITION_FAILED"


class TargetRefused(FieldErrors):
    """The url cannot be delivered to."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"url: {rule}", details=[Detail("url", rule)])


class HeaderRefused(FieldErrors):
    """A header's value is not given."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"headers.{name}: {rule}", details=[Detail(f"headers.{name}", rule)])
