"""What a client of campaign-service can do wrong.

    ServiceError (kit)
    ├── CampaignNotFound      no such campaign in this organisation
    ├── TemplateNotFound      no such template in this organisation
    ├── InvalidTransition     the campaign's status does not allow it
    ├── ExecutionRunning      an execution of this campaign has not ended
    └── VersionConflict       somebody else changed the campaign at the same moment

`FieldErrors` and `DependencyDown` of the kit are used as they are.
"""

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


class VersionConflict(ServiceError):
    """Somebody else changed this at the same moment; read it again."""

    code = "VERSION_CONFLICT"
