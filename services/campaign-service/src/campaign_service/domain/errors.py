"""What a client of campaign-service can do wrong.

    ServiceError (kit)
    ├── CampaignNotFound      no such campaign in this organisation
    ├── TemplateNotFound      no such template in this organisation
    ├── InvalidTransition     the campaign's status does not allow it
    ├── ExecutionRunning      an execution of this campaign has not ended
    ├── NothingToRetry        nobody's outcome is one that the retry is for
    ├── NotEditable           the campaign's status does not let these fields be changed
    ├── VersionConflict       somebody else changed the campaign at the same moment
    ├── PreconditionFailed    the version is none of those in `If-Match`
    └── DefinitionTooLarge    the whole definition is over the limit

`FieldErrors` and `DependencyDown` of the kit are used as they are.
"""

from collections.abc import Sequence

from pydantic.alias_generators import to_camel
from service_kit.errors import Detail, ServiceError


class CampaignNotFound(ServiceError):
    """There is no such campaign."""

    code = "NOT_FOUND"


class TemplateNotFound(ServiceError):
    """There is no such template."""

    code = "NOT_FOUND"


class InvalidTransition(ServiceError):
    """The campaign's status does not allow this."""

    code = "INVALID_TRANSITION"

    def __init__(self, source: str, target: str) -> None:
        super().__init__(
            f"a campaign cannot go from {source} to {target}",
            details=(Detail("status", f"from {source} to {target}"),),
        )


class ExecutionRunning(ServiceError):
    """An execution of this campaign is running; wait until it has ended."""

    code = "EXECUTION_RUNNING"


class NothingToRetry(ServiceError):
    """Nobody's outcome is one of those to be retried."""

    code = "NOTHING_TO_RETRY"


class VersionConflict(ServiceError):
    """Somebody else changed this at the same moment; read it again."""

    code = "VERSION_CONFLICT"


class NotEditable(ServiceError):
    """The campaign's status does not let this be changed."""

    code = "NOT_EDITABLE"

    def __init__(self, status: str, fields: Sequence[str]) -> None:
        names = [to_camel(name) for name in fields]
        super().__init__(
            f"{names[0]}: cannot be changed while the campaign is {status}",
            details=tuple(
                Detail(name, f"cannot be changed while the campaign is {status}") for name in names
            ),
        )


class PreconditionFailed(ServiceError):
    """The version is another than If-Match names; read it again."""

    code = "PRECONDITION_FAILED"


class DefinitionTooLarge(ServiceError):
    """A whole definition is at most 512 KiB."""

    code = "PAYLOAD_TOO_LARGE"
