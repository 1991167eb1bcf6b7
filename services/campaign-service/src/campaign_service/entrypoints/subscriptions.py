"""What campaign-service listens to: event → use case."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from contracts.envelope import EventData
from contracts.events.audience import AudienceEstimated
from contracts.events.execution import ExecutionCompleted, ExecutionFailed, ExecutionPaused
from contracts.events.statistics import StatisticsUpdated

from campaign_service.application.end_execution import complete_campaign, fail_campaign
from campaign_service.application.hold_campaign import hold_campaign
from campaign_service.application.note_numbers import note_audience, note_statistics
from campaign_service.application.parts import ConsumerParts

Handler = Callable[[Any], Awaitable[None]]


def subscriptions(parts: ConsumerParts) -> dict[type[EventData], Handler]:
    """The handlers, their ports filled in."""
    return {
        ExecutionCompleted: partial(
            complete_campaign,
            campaigns=parts.campaigns,
            transactions=parts.transactions,
            inbox=parts.inbox,
            outbox=parts.outbox,
            clock=parts.clock,
        ),
        ExecutionFailed: partial(
            fail_campaign,
            campaigns=parts.campaigns,
            transactions=parts.transactions,
            inbox=parts.inbox,
            outbox=parts.outbox,
            clock=parts.clock,
        ),
        ExecutionPaused: partial(
            hold_campaign,
            campaigns=parts.campaigns,
            transactions=parts.transactions,
            inbox=parts.inbox,
            outbox=parts.outbox,
            clock=parts.clock,
        ),
        AudienceEstimated: partial(note_audience, campaigns=parts.campaigns),
        StatisticsUpdated: partial(note_statistics, campaigns=parts.campaigns),
    }
