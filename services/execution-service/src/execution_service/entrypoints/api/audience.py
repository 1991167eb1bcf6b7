"""What the audience's routers need, in one hand; bootstrap fills it."""

from dataclasses import dataclass

from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import AudienceMarks, Bots, Contacts, Segments, TelegramIdentity


@dataclass(frozen=True, slots=True)
class Audience:
    """Ports of the API process. `import_transactions` may take longer than a request's own."""

    contacts: Contacts
    segments: Segments
    measure: MeasureAudience
    bots: Bots
    marks: AudienceMarks
    outbox: Outbox
    telegram: TelegramIdentity
    transactions: Transactions
    import_transactions: Transactions
    clock: Clock
