"""Error → HTTP status, in one table."""

from service_kit.api.answers import Answers
from service_kit.errors import ServiceError

from stats_service.domain.errors import (
    CampaignNotFound,
    ConversionNotFound,
    LinkNotFound,
    ParameterNotAvailable,
)

STATUSES: dict[type[ServiceError], int] = {
    CampaignNotFound: 404,
    ConversionNotFound: 404,
    LinkNotFound: 404,
    ParameterNotAvailable: 400,
}
answers = Answers(STATUSES)
