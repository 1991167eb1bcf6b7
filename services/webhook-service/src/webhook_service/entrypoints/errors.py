"""Domain errors to HTTP statuses."""

from service_kit.api.answers import Answers
from service_kit.errors import ServiceError

from webhook_service.domain.errors import (
    DeliveryNotFound,
    DeliveryUnderWay,
    EndpointDisabled,
    EndpointNotFound,
    PreconditionFailed,
    TooManyAttempts,
    TooManyEndpoints,
    TooManySecrets,
    VersionConflict,
)

STATUSES: dict[type[ServiceError], int] = {
    EndpointNotFound: 404,
    DeliveryNotFound: 404,
    EndpointDisabled: 409,
    DeliveryUnderWay: 409,
    TooManyAttempts: 409,
    TooManySecrets: 409,
    TooManyEndpoints: 422,
    VersionConflict: 409,
    PreconditionFailed: 412,
}
answers = Answers(STATUSES)
