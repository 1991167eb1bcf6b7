"""The sending methods' parameters, checked as Telegram checks them, and the objects it answers."""

import re
from collections.abc import Mapping
from hashlib import sha256
from html import unescape
from typing import NamedTuple

import msgspec

from telegram_simulator.keyboards import KeyboardError, inline_keyboard, url_problem
from telegram_simulator.parameters import Upload

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024

_PARSE_MODES = frozenset({"", "html", "markdown", "markdownv2"})
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_MEDIA = {
    "sendPhoto": "photo", "sendVideo": "video", "sendDocument": "document", "sendAnimation": "animation",
}  # fmt: skip
"""Methods, and the names of what they send, of their parameters and of the field in the answer."""
_TAG = re.compile(r"<[^<>]*>")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*_~|`>]")
_CHAT_ID = re.compile(r"-?[0-9]{1,16}")
# Telegram's ids have at most 52 significant bits.
_LARGEST_ID = 1 << 52


class Message(NamedTuple):
    """A message to send. `chat_id` is a text when it is no number; `refusal` describes the 400, if any.

    `media` is a file id, a URL, or says how large an upload is; `buttons` are rows of them, in JSON.
    """

    chat_id: int | str | None
    text: str | None
    media: str | None
    refusal: str
    paid: bool = False
    buttons: bytes | None = None


def unreadable(refusal: str) -> Message:
    """A message of which nothing could be read."""
    return Message(None, None, None, refusal)


def parse(method: str, parameters: Mapping[str, object]) -> Message:
    """The message in a call's parameters; what Telegram would refuse is told by `refusal`."""
    chat_id = _chat_id(parameters.get("chat_id"))
    mode = _text(parameters.get("parse_mode")).lower()
    media, kind = None, _MEDIA.get(method)
    if kind is not None:
        text, limit = _text(parameters.get("caption")), CAPTION_LIMIT
        media = _file(parameters.get(kind))
        empty = _file_problem(media, kind)
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
    buttons: bytes | None = None
    if "reply_markup" in parameters:
        try:
            rows = inline_keyboard(parameters["reply_markup"])
            buttons = msgspec.json.encode(rows) if rows else None
        except KeyboardError as error:
            refusal = refusal or f"Bad Request: {error}"
    return Message(chat_id, text or None, media, refusal, paid, buttons)


def delivered(method: str, message: Message, bot_id: int, message_id: int, date: int) -> dict[str, object]:
    """Telegram's Message object; `date` in seconds since the epoch. Text is as sent, entities not parsed."""
    result: dict[str, object] = {
        "message_id": message_id,
        "from": bot_user(bot_id),
        "chat": _chat(message.chat_id),
        "date": date,
    }
    if message.buttons:
        result["reply_markup"] = {"inline_keyboard": msgspec.Raw(message.buttons)}
    if message.media is None:
        result["text"] = message.text
        return result
    kind, unique = _MEDIA[method], sha256(message.media.encode()).hexdigest()
    file: dict[str, object] = {"file_id": unique, "file_unique_id": unique[:16], "file_size": 65536}
    if kind != "document":
        file |= {"width": 800, "height": 600}
    result[kind] = [file] if kind == "photo" else file
    if kind == "animation":
        result["document"] = file  # as Telegram does, for old bots
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


def _file(value: object) -> str | None:
    return f"upload of {value.size} bytes" if isinstance(value, Upload) else _text(value) or None


def _file_problem(file: str | None, kind: str) -> str:
    """Telegram fetches what has a scheme, and takes anything else for the id of a file."""
    if file is None:
        return f"Bad Request: there is no {kind} in the request"
    problem = url_problem(file) if "://" in file else ""
    return f"Bad Request: invalid file HTTP URL specified: {problem}" if problem else ""


def _visible_length(text: str, mode: str) -> int:
    """Characters that count for the limit: those left once the formatting is taken away."""
    if mode == "html":
        return len(unescape(_TAG.sub("", text)))
    if mode == "markdownv2":
        return len(_MARKS.sub("", _LINK.sub(r"\1", _ESCAPED.sub("x", text))))
    return len(text)
