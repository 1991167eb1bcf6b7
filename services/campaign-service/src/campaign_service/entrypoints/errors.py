"""Domain errors and their HTTP statuses: the one table."""

from service_kit.errors import ServiceError

from campaign_service.domain.errors import (
    CampaignNotFound,
    DefinitionTooLarge,
    ExecutionRunning,
    InvalidTransition,
    NotEditable,
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
    DefinitionTooLarge: 413,
}
