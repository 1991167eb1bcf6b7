"""What can become of one request of a sending method, and what Telegram answers then.

Source of the descriptions: the Bot API's own answers (core.telegram.org/bots/api, tdlib/telegram-bot-api).
"""

from enum import IntEnum


class Outcome(IntEnum):
    """How one request of a sending method ended; the ledger stores the number and prints the name."""

    DELIVERED = 1
    DROPPED_AFTER_DELIVERY = 2
    BLOCKED = 3
    DEACTIVATED = 4
    NOT_FOUND = 5
    NOT_STARTED = 6
    SERVER_ERROR = 7
    RATE_LIMITED = 8
    BAD_REQUEST = 9
    UNAUTHORIZED = 10


# The names as the ledger prints them.
OUTCOME_NAMES = {outcome: outcome.name.lower() for outcome in Outcome}

# The outcomes in which the chat really got the message.
REACHED = frozenset({Outcome.DELIVERED, Outcome.DROPPED_AFTER_DELIVERY})

# (error_code, description) of each outcome whose text never varies.
ERROR_ANSWERS: dict[Outcome, tuple[int, str]] = {
    Outcome.BLOCKED: (403, "Forbidden: bot was blocked by the user"),
    Outcome.DEACTIVATED: (403, "Forbidden: user is deactivated"),
    Outcome.NOT_FOUND: (400, "Bad Request: chat not found"),
    Outcome.NOT_STARTED: (403, "Forbidden: bot can't initiate conversation with a user"),
    Outcome.SERVER_ERROR: (500, "Internal Server Error"),
    Outcome.UNAUTHORIZED: (401, "Unauthorized"),
}
