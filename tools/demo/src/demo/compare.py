"""Three independent books of the same execution, and where they differ.

The simulator's ledger says what Telegram saw, the execution's ledger (`/recipients`) what we recorded
per person, the statistics what we tell the customer. Pure functions over the three.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REACHED = ("delivered", "dropped_after_delivery")


@dataclass(frozen=True, slots=True)
class Row:
    """One number, read from the books that have it (None: that book does not)."""

    name: str
    simulator: int | None
    ledger: int | None
    statistics: int | None

    @property
    def agrees(self) -> bool:
        """Whether all that have it say the same."""
        return (
            len({value for value in (self.simulator, self.ledger, self.statistics) if value is not None}) <= 1
        )


def last_outcomes(entries: Iterable[Mapping[str, Any]]) -> tuple[dict[int, str], int]:
    """Chat → what became of it in the end, and how many chats were reached more than once."""
    reached: Counter[int] = Counter()
    last: dict[int, str] = {}
    for entry in entries:
        chat, outcome = entry["chat_id"], entry["outcome"]
        if outcome in REACHED:
            reached[chat] += 1
        if last.get(chat) not in REACHED and outcome != "rate_limited":
            last[chat] = outcome
    return last, sum(count > 1 for count in reached.values())


def compare(
    entries: Iterable[Mapping[str, Any]],
    recipients: Iterable[Mapping[str, Any]],
    overview: Mapping[str, Any],
    progress: Mapping[str, Any],
) -> list[Row]:
    """The table of the demo's end."""
    last, doubled = last_outcomes(entries)
    simulator = Counter(last.values())
    rows = list(recipients)
    status = Counter(row["status"] for row in rows)
    codes = Counter(row["errorCode"] for row in rows)
    unknown = status["unknown"]
    # Telegram may have taken a message whose answer never came: those two books cannot agree on it.
    delivered = simulator["delivered"] + simulator["dropped_after_delivery"] if not unknown else None
    return [
        Row("delivered", delivered, status["successful"], overview["delivered"]),
        Row("blocked the bot", simulator["blocked"], codes["USER_BLOCKED"], None),
        Row("chat not found", simulator["not_found"], codes["CHAT_NOT_FOUND"], None),
        Row("given up after 5xx", simulator["server_error"], codes["TELEGRAM_ERROR"], None),
        Row(
            "definite answers (messagesSent)",
            None,
            status["successful"] + status["failed"],
            overview["messagesSent"],
        ),
        Row("progress: successful", None, status["successful"], progress["successful"]),
        Row("progress: failed", None, status["failed"], progress["failed"]),
        Row("progress: skipped", None, status["skipped"], progress["skipped"]),
        Row("progress: unknown", None, unknown, progress["unknown"]),
        Row("people in the execution", None, len(rows), progress["total"]),
        Row("people with two outcomes", None, len(rows) - len({row["contactId"] for row in rows}), 0),
        Row("chats that got it twice", doubled, 0, None),
    ]
