"""What the audience's routers need, in one hand; bootstrap fills it."""

from dataclasses import dataclass

from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from execution_service.application.import_contacts import ImportContacts
from execution_service.application.list_contacts import ListContacts
from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import (
    AudienceMarks,
    Bots,
    BotUse,
    Contacts,
    Segments,
    SegmentUse,
    TelegramIdentity,
)
from execution_service.application.ports_import import Imports
from execution_service.application.ports_settings import StoredSettings


@dataclass(frozen=True, slots=True)
class Audience:
    """Ports and use cases of the API process."""

    contacts: Contacts
    segments: Segments
    measure: MeasureAudience
    bots: Bots
    marks: AudienceMarks
    outbox: Outbox
    bot_use: BotUse
    segment_use: SegmentUse
    telegram: TelegramIdentity
    transactions: Transactions
    list_contacts: ListContacts
    import_contacts: ImportContacts
    imports: Imports
    org_settings: StoredSettings
    clock: Clock
