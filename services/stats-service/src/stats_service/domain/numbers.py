"""What the numbers mean.

`sent` counts messages that Telegram answered definitely: delivered, or refused by Telegram. What
failed before it reached Telegram, was skipped, or has an unknown outcome is not sent.
"""

from fractions import Fraction

LOCAL_ERRORS = frozenset({"MESSAGE_TOO_LONG", "MESSAGE_EMPTY", "MISSING_FIELD", "NETWORK"})
"""Error codes of failures that happened on our side: Telegram gave no answer."""


def cost_of(sent: int, cost_per_message: float) -> float:
    """What so many messages cost: the number nearest to the exact product of the decimals as written."""
    return float(max(sent, 0) * Fraction(repr(cost_per_message)))
