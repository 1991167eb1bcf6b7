"""From a template to the text for one contact.

Placeholders: `{{firstName}}`, `{{firstName|there}}` with a default, `{{attributes.city}}`. A template
is compiled once (text, placeholder, text, …) and rendered for many. Values are data: they are escaped
for the parse mode, so that nobody's name can break or style a message. A placeholder that the
personalisation does not list stays as it is written.
Escaping: https://core.telegram.org/bots/api#formatting-options
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events.campaign import FrozenMessage, ParseMode, Personalization

from execution_service.domain.contact import Contact
from execution_service.domain.sampling import choose_variation

MAX_LENGTH = 4096
"""Telegram's limit on a message's characters, after its markup has been read."""

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z][\w-]*(?:\.[\w-]+)?)\s*(?:\|([^{}]*))?\}\}")
_MARKDOWN = re.compile(r"([_*\[\]()~`>#+\-=|{}.!\\])")
_TAG = re.compile(r"<[^>]*>")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MissingField(Exception):
    """A placeholder has neither a value nor a default for this contact."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One gap: the contact's field and what stands there without a value."""

    field: str
    default: str | None


Piece = str | Placeholder


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text."""

    pieces: tuple[Piece, ...]
    parse_mode: ParseMode


@dataclass(frozen=True, slots=True)
class CompiledMessage:
    """A message with its variations, ready to be rendered."""

    message_id: str
    own: Template
    variations: tuple[tuple[str, Template], ...]
    weights: tuple[float, ...]

    def choose(self, seed: str, contact_id: str) -> tuple[str | None, Template]:
        """The variation's id (None: the own content) and text for this contact."""
        index = choose_variation(seed, self.message_id, contact_id, self.weights)
        return (None, self.own) if index is None else self.variations[index]


def compile_message(message: FrozenMessage) -> CompiledMessage:
    """Compile a frozen message once for all its contacts."""
    mode, personal = message.parse_mode, message.personalization
    return CompiledMessage(
        message_id=message.id,
        own=compile_template(message.content, mode, personal),
        variations=tuple(
            (item.id, compile_template(item.content, mode, personal)) for item in message.variations
        ),
        weights=tuple(item.weight for item in message.variations),
    )


def compile_template(content: str, mode: ParseMode, personal: Personalization) -> Template:
    """Split `content` at the placeholders that `personal` lets be filled."""
    pieces: list[Piece] = []
    end = 0
    for match in _PLACEHOLDER.finditer(content):
        if not _filled(match[1], personal):
            continue
        pieces += [content[end : match.start()], Placeholder(match[1], match[2])]
        end = match.end()
    pieces.append(content[end:])
    return Template(tuple(piece for piece in pieces if piece != ""), mode)


def _filled(field: str, personal: Personalization) -> bool:
    return personal.enabled and (personal.fields is None or field in personal.fields)


def render(template: Template, values: Mapping[str, str]) -> str:
    """The text for one contact. Raises MissingField."""
    escape = _ESCAPES[template.parse_mode]
    parts: list[str] = []
    for piece in template.pieces:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        value = values.get(piece.field) or piece.default
        if value is None:
            raise MissingField(piece.field)
        parts.append(escape(value))
    return "".join(parts)


def visible_length(text: str, mode: ParseMode) -> int:
    """How many characters Telegram counts: markup and escapes left out (MarkdownV2: its marks count)."""
    if mode == "HTML":
        return len(html.unescape(_TAG.sub("", text)).strip())
    if mode == "MarkdownV2":
        return len(_ESCAPED.sub(r"\1", text).strip())
    return len(text.strip())


def values_of(contact: Contact) -> dict[str, str]:
    """The contact's fields by the names that templates use; a field without a value is absent."""
    raw: dict[str, Any] = {
        "firstName": contact.first_name,
        "lastName": contact.last_name,
        "username": contact.username,
        "language": contact.language,
        "timezone": contact.timezone,
        "location": contact.location,
        "age": contact.age,
        "interests": contact.interests,
        "purchaseHistory": contact.purchase_history,
        "lastPurchase": contact.last_purchase,
        **{f"attributes.{key}": value for key, value in contact.attributes.items()},
    }
    return {name: text for name, value in raw.items() if (text := _as_text(value))}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(str, value))
    return str(value)


def _plain(value: str) -> str:
    return value


def _escape_html(value: str) -> str:
    return html.escape(value, quote=True).replace("&#x27;", "'")


def _escape_markdown(value: str) -> str:
    return _MARKDOWN.sub(r"\\\1", value)


_ESCAPES: dict[ParseMode, Callable[[str], str]] = {
    "none": _plain,
    "HTML": _escape_html,
    "MarkdownV2": _escape_markdown,
}
