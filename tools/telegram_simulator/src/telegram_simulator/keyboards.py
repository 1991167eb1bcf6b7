"""`reply_markup`, as far as bots send buttons with it: an inline keyboard of buttons that open URLs.

Descriptions are Telegram's own (tdlib/telegram-bot-api, Client.cpp).
"""

from urllib.parse import urlsplit

import msgspec

MOST_BUTTONS = 100
_ACTIONS = ("callback_data", "web_app", "login_url", "switch_inline_query", "pay", "copy_text")

Rows = list[list[dict[str, object]]]


class KeyboardError(ValueError):
    """What Telegram answers, without the `Bad Request: ` in front."""


def inline_keyboard(value: object) -> Rows | None:
    """The rows of buttons in a `reply_markup` (JSON, or what it stands for). Raises KeyboardError."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value) if value else None
        except msgspec.DecodeError:
            raise KeyboardError("can't parse reply keyboard markup JSON object") from None
    if value is None:
        return None
    if not isinstance(value, dict):
        raise KeyboardError("object expected as reply markup")
    rows = value.get("inline_keyboard")
    if rows is None:
        return None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise KeyboardError('field "inline_keyboard" must be an Array of Arrays')
    if sum(map(len, rows)) > MOST_BUTTONS:
        raise KeyboardError("REPLY_MARKUP_TOO_LONG")
    return [[_button(button) for button in row] for row in rows if row]


def _button(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise KeyboardError("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    text, url = value.get("text"), value.get("url")
    if not isinstance(text, str) or not text.strip():
        raise KeyboardError("can't parse inline keyboard button: Can't find field \"text\"")
    if isinstance(url, str) and url:
        if problem := url_problem(url):
            raise KeyboardError(f"inline keyboard button URL '{url}' is invalid: {problem}")
    elif not any(value.get(name) for name in _ACTIONS):
        raise KeyboardError(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    return value


def url_problem(url: str) -> str:
    """What Telegram has against a URL; empty when nothing. A local host is fine here, unlike there."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "Wrong HTTP URL"
    if parts.scheme == "tg":
        return ""
    if parts.scheme not in ("http", "https") or any(character.isspace() for character in url):
        return "Unsupported URL protocol" if parts.scheme else "Wrong HTTP URL"
    return "" if host else "URL host is empty"
