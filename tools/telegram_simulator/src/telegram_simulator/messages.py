"""sendMessage's and sendPhoto's parameters, checked as Telegram checks them, and the objects it answers."""

import re
from collections.abc import Mapping
from hashlib import sha256
from html import unescape
from typing import NamedTuple

import msgspec

from telegram_simulator.parameters import Upload

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024

_PARSE_MODES = frozenset({"", "html", "markdown", "markdownv2"})
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_TAG = re.compile(r"<[^<>]*>")
_CHAT_ID = re.compile(r"-?[0-9]{1,16}")
# Telegram's ids have at most 52 significant bits.
_LARGEST_ID = 1 << 52


class Message(NamedTuple):
    """A message to send. `chat_id` is a text when it is no number; `refusal` describes the 400, if any."""

    chat_id: int | str | None
    text: str | None
    photo: str
    refusal: str
    paid: bool = False


def unreadable(refusal: str) -> Message:
    """A message of which nothing could be read."""
    return Message(None, None, "", refusal)


def parse(method: str, parameters: Mapping[str, object]) -> Message:
    """The message in a call's parameters; what Telegram would refuse is told by `refusal`."""
    chat_id = _chat_id(parameters.get("chat_id"))
    mode = _text(parameters.get("parse_mode")).lower()
    photo = ""
    if method == "sendPhoto":
        text, limit = _text(parameters.get("caption")), CAPTION_LIMIT
        photo = _photo(parameters.get("photo"))
        empty = "" if photo else "Bad Request: there is no photo in the request"
        too_long = "Bad Request: message caption is too long"
    else:
        text, limit = _text(parameters.get("text")), TEXT_LIMIT
        empty = "" if text and not text.isspace() else "Bad Request: message text is empty"
        too_long = "Bad Request: message is too long"
    refusal = empty
    if chat_id is None:
        refusal = "Bad Request: chat_id is empty"
    elif mode not in _PARSE_MODES:
        refusal = "Bad Request: unsupported parse_mode"
    elif not empty and len(text) > limit and _visible_length(text, mode) > limit:
        refusal = too_long
    paid = _text(parameters.get("allow_paid_broadcast")).lower() in _TRUE
    return Message(chat_id, text or None, photo, refusal, paid)


def delivered(method: str, message: Message, bot_id: int, message_id: int, date: int) -> dict[str, object]:
    """Telegram's Message object; `date` in seconds since the epoch. Text is as sent, entities not parsed."""
    result: dict[str, object] = {
        "message_id": message_id,
        "from": bot_user(bot_id),
        "chat": _chat(message.chat_id),
        "date": date,
    }
    if method == "sendMessage":
        result["text"] = message.text
        return result
    unique = sha256(message.photo.encode()).hexdigest()
    result["photo"] = [
        {"file_id": unique, "file_unique_id": unique[:16], "width": 800, "height": 600, "file_size": 65536}
    ]
    if message.text:
        result["caption"] = message.text
    return result


def bot_user(bot_id: int, *, full: bool = False) -> dict[str, object]:
    """Telegram's User object of a bot; `full` adds what only getMe tells."""
    user: dict[str, object] = {
        "id": bot_id,
        "is_bot": True,
        "first_name": f"Simulated bot {bot_id}",
        "username": f"simulated_{bot_id}_bot",
    }
    if full:
        user |= {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
    return user


def _chat(chat_id: int | str | None) -> dict[str, object]:
    if isinstance(chat_id, int) and chat_id < 0:
        kind = "supergroup" if str(chat_id).startswith("-100") else "group"
        return {"id": chat_id, "type": kind, "title": f"Group {-chat_id}"}
    return {"id": chat_id, "type": "private", "first_name": f"Chat {chat_id}"}


def _chat_id(value: object) -> int | str | None:
    if type(value) is int and -_LARGEST_ID < value < _LARGEST_ID:
        return value or None
    text = _text(value).strip()
    if _CHAT_ID.fullmatch(text) and -_LARGEST_ID < int(text) < _LARGEST_ID:
        return int(text) or None
    return text or None


def _text(value: object) -> str:
    """A parameter as text: JSON clients may send numbers, and objects where others send their JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Upload):
        return ""
    return msgspec.json.encode(value).decode()


def _photo(value: object) -> str:
    return f"upload of {value.size} bytes" if isinstance(value, Upload) else _text(value)


def _visible_length(text: str, mode: str) -> int:
    """Characters that count for the limit: those left once the formatting is taken away."""
    if mode == "html":
        return len(unescape(_TAG.sub("", text)))
    if mode == "markdownv2":
        return len(text) - text.count("\\")
    return len(text)
