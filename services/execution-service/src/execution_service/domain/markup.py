"""Telegram's markup: how a value is written so that it stays a value, and how much of a text is seen.

Telegram counts what is seen, in Unicode code points (`message_length_max`, `caption_length_max`), while it
gives the places of entities in UTF-16 code units. In MarkdownV2 a backslash before any character of
ASCII makes it an ordinary one, everywhere: in text, code and the address of a link alike. A line break
is among those that need it: it would end a quotation.
Sources: https://core.telegram.org/constructor/config, https://core.telegram.org/bots/api#formatting-options,
and the parsers that Telegram runs (tdlib/td, MessageEntity.cpp).
"""

import html
import re
from collections.abc import Callable

from contracts.events.campaign import ParseMode

_MARKDOWN_RESERVED = re.compile(r"([_*\[\]()~`>#+\-=|{}.!\\\n])")
_HTML_TAG = re.compile(r"<[^>]*+>?")
_HTML_ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9A-Fa-f]+|lt|gt|amp|quot);?")
"""Those that Telegram reads; any other is seen as it is written."""
_ESCAPED = re.compile(r"\\([\x01-\x7e])")
_MARKDOWN = re.compile(
    r"""
      \\(?P<one>[\x01-\x7e])                                             # an escaped character
    | ```(?:[^\s`]+(?=\s))?\n?(?P<pre>(?:\\.|(?!```)[^\\])*+)(?:```)?    # code in lines, with its language
    | `(?P<code>(?:\\.|[^`\\])*+)`?                                      # code
    | \]\((?:\\.|[^)\\])*+\)?                                            # the address of a link
    | [_*\[\]~>|!]                                                       # the marks
    """,
    re.VERBOSE | re.DOTALL,
)
"""Ends are optional and nothing is read twice, so a broken text takes no longer: workers run this."""


def escape(value: str, mode: ParseMode) -> str:
    """`value` as it is written in a text of `mode`, to be read as it is."""
    return ESCAPES[mode](value)


def visible_length(text: str, mode: ParseMode) -> int:
    """How many characters Telegram counts: those left once the markup is read."""
    if mode == "HTML":
        text = _HTML_ENTITY.sub(_entity, _HTML_TAG.sub("", text))
    elif mode == "MarkdownV2":
        text = _MARKDOWN.sub(_seen, text)
    return len(text.strip())


def _entity(found: re.Match[str]) -> str:
    return html.unescape(f"&{found[1]};")


def _seen(found: re.Match[str]) -> str:
    """What is left of a piece of MarkdownV2."""
    if found["one"] is not None:
        return found["one"]
    return _ESCAPED.sub(r"\1", found["pre"] or found["code"] or "")


def _plain(value: str) -> str:
    return value


def _escape_html(value: str) -> str:
    """Fit for an attribute in either kind of quotes, too."""
    return html.escape(value, quote=True)


def _escape_markdown(value: str) -> str:
    return _MARKDOWN_RESERVED.sub(r"\\\1", value)


ESCAPES: dict[ParseMode, Callable[[str], str]] = {
    "none": _plain,
    "HTML": _escape_html,
    "MarkdownV2": _escape_markdown,
}
