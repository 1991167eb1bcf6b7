"""The root of every error that a client may see, and the three ways a consumer can fail.

    ServiceError            code, message, details: something a client did or can mend
    ├── FieldErrors         some fields break rules (details name them)
    └── DependencyDown      a database or service that this needs does not answer

    ConsumerFailure         what the consumer loop understands
    ├── Retryable           the world is not ready: try again, keep the order
    ├── Poison              this message can never be handled: park it, go on
    └── AlreadyHandled      its effect is there: commit, go on

An error class's docstring is its message, unless one is given. Statuses live at the edge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Detail:
    """One field and the rule it breaks; `field` is a dotted path such as `goals.revenue`."""

    field: str
    message: str


class ServiceError(Exception):
    """The request cannot be done."""

    code: ClassVar[str] = "ERROR"
    retry_after_seconds: ClassVar[int | None] = None
    """When the same request may work, if waiting helps."""

    def __init__(self, message: str | None = None, *, details: Iterable[Detail] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = tuple(details)
        super().__init__(self.message)


class FieldErrors(ServiceError):
    """Some fields are not valid."""

    code = "VALIDATION_FAILED"


class DependencyDown(ServiceError):
    """A part of the system that this needs is not available. Try again shortly."""

    code = "SERVICE_UNAVAILABLE"


class ConsumerFailure(Exception):
    """Handling a message did not work."""


class Retryable(ConsumerFailure):
    """A dependency is not there; the same message may work later."""


class Poison(ConsumerFailure):
    """This message can never be handled."""


class AlreadyHandled(ConsumerFailure):
    """The effect of this message is already stored."""
