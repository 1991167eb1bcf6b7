"""Error → HTTP status, in one table."""

from service_kit.api.answers import Answers
from service_kit.errors import ServiceError

from stats_service.domain.errors import (
    CampaignNotFound,
    ConversionNotFound,
    InvalidParameter,
    LinkNotFound,
)

STATUSES: dict[type[ServiceError], int] = {
    CampaignNotFound: 404,
    ConversionNotFound: 404,
    LinkNotFound: 404,
    InvalidParameter: 400,
}
answers = Answers(STATUSES)
