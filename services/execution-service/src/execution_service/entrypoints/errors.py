"""Which status each of this service's errors answers with; the kit knows the shared ones."""

from service_kit.api.answers import Answers
from service_kit.errors import ServiceError

from execution_service.domain.errors import (
    BotExists,
    BotInUse,
    BotNotFound,
    ContactNotFound,
    ImportIdReused,
    ImportNotFound,
    ImportRunning,
    PreconditionFailed,
    SegmentExists,
    SegmentInUse,
    SegmentNotFound,
)
from execution_service.domain.errors_engine import CampaignNotFound, CursorInvalid, ExecutionNotFound

STATUSES: dict[type[ServiceError], int] = {
    ContactNotFound: 404,
    SegmentNotFound: 404,
    SegmentExists: 409,
    BotNotFound: 404,
    BotExists: 409,
    BotInUse: 409,
    SegmentInUse: 409,
    ImportNotFound: 404,
    ImportRunning: 409,
    ImportIdReused: 422,
    PreconditionFailed: 412,
    CampaignNotFound: 404,
    ExecutionNotFound: 404,
    CursorInvalid: 400,
}
answers = Answers(STATUSES)
