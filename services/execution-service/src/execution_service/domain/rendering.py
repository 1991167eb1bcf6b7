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

from execution_service.domain.sampling import choose_variation

MAX_LENGTH = 4096
"""Telegram's limit on a message's characters, after its markup has been read."""

_FIELDS = frozenset(
    {"firstName", "lastName", "username", "language", "timezone", "location", "age", "interests"}
    | {"purchaseHistory", "lastPurchase"}
)
"""What a template may ask for, beside `attributes.<key>`."""
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z][\w-]*(?:\.[\w-]+)?)\s*(?:\|([^{}]*))?\}\}")
_MARKDOWN = re.compile(r"([_*\[\]()~`>#+\-=|{}.!\\])")
_TAG = re.compile(r"<[^>]*>")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MissingField(Exception):
    """A placeholder has neither a value nor a default for this contact."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One gap: the contact's field or attribute ("": none has it), and what stands there without a value."""

    name: str
    attribute: bool
    default: str | None


Piece = str | Placeholder


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text. `visible`: it shows something whatever the values are."""

    pieces: tuple[Piece, ...]
    parse_mode: ParseMode
    visible: bool

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it asks for, as templates write them."""
        gaps = [piece for piece in self.pieces if isinstance(piece, Placeholder) and piece.name]
        return frozenset(f"attributes.{gap.name}" if gap.attribute else gap.name for gap in gaps)


@dataclass(frozen=True, slots=True)
class CompiledMessage:
    """A message with its variations, ready to be rendered."""

    message_id: str
    own: Template
    variations: tuple[tuple[str, Template], ...]
    weights: tuple[float, ...]
    fields: frozenset[str]

    def choose(self, seed: str, contact_id: str) -> tuple[str | None, Template]:
        """The variation's id (None: the own content) and text for this contact."""
        index = choose_variation(seed, self.message_id, contact_id, self.weights)
        return (None, self.own) if index is None else self.variations[index]


def compile_message(message: FrozenMessage) -> CompiledMessage:
    """Compile a frozen message once for all its contacts."""
    mode, personal = message.parse_mode, message.personalization
    own = compile_template(message.content, mode, personal)
    variations = tuple(
        (item.id, compile_template(item.content, mode, personal)) for item in message.variations
    )
    return CompiledMessage(
        message_id=message.id,
        own=own,
        variations=variations,
        weights=tuple(item.weight for item in message.variations),
        fields=own.fields.union(*(template.fields for _, template in variations)),
    )


def compile_template(content: str, mode: ParseMode, personal: Personalization) -> Template:
    """Split `content` at the placeholders that `personal` lets be filled."""
    pieces: list[Piece] = []
    end = 0
    for match in _PLACEHOLDER.finditer(content):
        if not _filled(match[1], personal):
            continue
        pieces += [content[end : match.start()], _placeholder(match[1], match[2])]
        end = match.end()
    pieces.append(content[end:])
    fixed = "".join(piece for piece in pieces if isinstance(piece, str))
    return Template(tuple(piece for piece in pieces if piece != ""), mode, visible_length(fixed, mode) > 0)


def _filled(field: str, personal: Personalization) -> bool:
    return personal.enabled and (personal.fields is None or field in personal.fields)


def _placeholder(path: str, default: str | None) -> Placeholder:
    """What no contact has is a gap all the same: its default stands there, or it is missing."""
    field, _, key = path.partition(".")
    if field == "attributes" and key:
        return Placeholder(key, attribute=True, default=default)
    return Placeholder(path if path in _FIELDS else "", attribute=False, default=default)


def render(template: Template, fields: Mapping[str, Any]) -> str:
    """The text for one contact, from its fields by the API's names. Raises MissingField."""
    escape, attributes = _ESCAPES[template.parse_mode], fields.get("attributes", {})
    parts: list[str] = []
    for piece in template.pieces:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        value = (attributes if piece.attribute else fields).get(piece.name)
        text = (value if isinstance(value, str) else _as_text(value)) or piece.default
        if text is None:
            raise MissingField
        parts.append(escape(text))
    return "".join(parts)


def length_fault(text: str, template: Template) -> str | None:
    """The code of a text of `template` that Telegram does not take for its length.

    Most texts need no look at their markup: it only ever makes what is seen shorter.
    """
    if len(text) > MAX_LENGTH and visible_length(text, template.parse_mode) > MAX_LENGTH:
        return "MESSAGE_TOO_LONG"
    if not template.visible and visible_length(text, template.parse_mode) == 0:
        return "MESSAGE_EMPTY"
    return None


def visible_length(text: str, mode: ParseMode) -> int:
    """How many characters Telegram counts: markup and escapes left out (MarkdownV2: its marks count)."""
    if mode == "HTML":
        return len(html.unescape(_TAG.sub("", text)).strip())
    if mode == "MarkdownV2":
        return len(_ESCAPED.sub(r"\1", text).strip())
    return len(text.strip())


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
