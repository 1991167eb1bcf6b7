"""Domain errors and their HTTP statuses: the one table."""

from service_kit.api.answers import Answers
from service_kit.errors import Detail, FieldErrors, ServiceError

from campaign_service.domain.errors import (
    CampaignNotFound,
    DefinitionTooLarge,
    ExecutionRunning,
    InvalidTransition,
    NotEditable,
    NothingToRetry,
    PreconditionFailed,
    TemplateNotFound,
    VersionConflict,
)

STATUSES: dict[type[ServiceError], int] = {
    CampaignNotFound: 404,
    TemplateNotFound: 404,
    InvalidTransition: 409,
    ExecutionRunning: 409,
    NotEditable: 409,
    VersionConflict: 409,
    PreconditionFailed: 412,
    NothingToRetry: 422,
    DefinitionTooLarge: 413,
}
answers = Answers(STATUSES)
INCOMPLETE = FieldErrors("messages: are missing", details=[Detail("messages", "are missing")])
"""The example of a definition that cannot be executed."""
