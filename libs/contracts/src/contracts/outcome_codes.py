"""What the error codes of outcomes say to people: the same words wherever a code is shown."""

from typing import Final

MESSAGES: Final = {
    "USER_BLOCKED": "User has blocked the bot",
    "USER_DEACTIVATED": "User's account is deactivated",
    "BOT_NOT_STARTED": "User has not started the bot",
    "CHAT_NOT_FOUND": "Chat not found",
    "BOT_KICKED": "Bot was removed from the chat",
    "FORBIDDEN": "Telegram does not let the bot write to this chat",
    "BAD_REQUEST": "Telegram rejected the message",
    "MESSAGE_TOO_LONG": "Message is longer than 4,096 characters",
    "MESSAGE_EMPTY": "Message is empty",
    "TELEGRAM_ERROR": "Telegram failed to answer the request",
    "DELIVERY_UNKNOWN": "Sent, but no answer came: it may or may not have been delivered",
    "CONTACT_ERASED": "Contact has been erased",
    "OPTED_OUT": "Contact has opted out",
    "BLOCKED": "Contact had blocked the bot when it was last written to",
    "DEACTIVATED": "Contact's account was deactivated when it was last written to",
    "NO_CHAT": "Contact's chat was not found when it was last written to",
    "MISSING_FIELD": "Contact lacks a value that the message needs",
    "CAMPAIGN_ENDED": "The campaign's end came before the contact's turn",
    "FREQUENCY_CAP": "Contact has got as many messages as the organisation allows in this time",
    "BUDGET_EXHAUSTED": "The campaign's budget pays for no further message",
    "AUDIENCE_INVALID": "The audience's filters cannot be understood",
    "BOT_UNAUTHORIZED": "Telegram rejects the bot's token",
    "BOT_MISSING": "The bot of this execution is not registered",
}
"""Error code → what it says to people."""
