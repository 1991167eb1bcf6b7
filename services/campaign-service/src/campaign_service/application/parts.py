"""The ports that each process works with, together: bootstrap fills them in, entrypoints hand them on."""

from dataclasses import dataclass

from service_kit.clock import Clock
from service_kit.idempotency.once import Idempotency
from service_kit.ports import Inbox, Outbox, Transactions

from campaign_service.application.ports import Campaigns, Preflight, Templates


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the routes work with."""

    campaigns: Campaigns
    templates: Templates
    preflight: Preflight
    transactions: Transactions
    idempotency: Idempotency
    outbox: Outbox
    clock: Clock


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """What the event handlers work with."""

    campaigns: Campaigns
    templates: Templates
    transactions: Transactions
    inbox: Inbox
    outbox: Outbox
    clock: Clock
