"""Domain errors to HTTP statuses."""

from service_kit.api.answers import Answers
from service_kit.errors import ServiceError

from webhook_service.domain.errors import EndpointNotFound, TargetRefused

STATUSES: dict[type[ServiceError], int] = {
    EndpointNotFound: 404,
    TargetRefused: 422,
}
answers = Answers(STATUSES)
