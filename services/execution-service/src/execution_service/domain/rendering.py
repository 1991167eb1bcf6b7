"""From a message to what one contact will read: its text or caption, and the labels of its buttons.

Placeholders: `{{firstName}}`, `{{firstName|there}}` with a default, `{{attributes.city}}`. A template
is compiled once (text, placeholder, text, …) and rendered for many. Values are data: they are escaped
for the parse mode, so that nobody's name can break or style a message. A placeholder that the
personalisation does not list is shown as it is written; in MarkdownV2 one whose first brace is escaped, too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events.campaign import FrozenMessage, Media, ParseMode, Personalization
from contracts.tracking import links_of

from execution_service.domain.markup import ESCAPES, escape, visible_length
from execution_service.domain.sampling import choose_variation

MAX_LENGTH = 4096
"""Telegram's limit on a message's characters, after its markup has been read."""
MAX_CAPTION = 1024
"""The same for the text beside media."""

_FIELDS = frozenset(
    {"firstName", "lastName", "username", "language", "timezone", "location", "age", "interests"}
    | {"purchaseHistory", "lastPurchase"}
)
"""What a template may ask for, beside `attributes.<key>`."""
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z][\w-]*(?:\.[\w-]+)?)\s*(?:\|([^{}]*))?\}\}")
_ESCAPES_NEXT = re.compile(r"(?<!\\)(?:\\\\)*\\$")
"""An odd number of backslashes."""
_FENCE = "```"


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
    """A compiled text. `visible`: the message shows something whatever the values are."""

    pieces: tuple[Piece, ...]
    parse_mode: ParseMode
    visible: bool
    limit: int = MAX_LENGTH

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it asks for, as templates write them."""
        gaps = [piece for piece in self.pieces if isinstance(piece, Placeholder) and piece.name]
        return frozenset(f"attributes.{gap.name}" if gap.attribute else gap.name for gap in gaps)


@dataclass(frozen=True, slots=True)
class CompiledButton:
    """A button; `link_id` says where it leads."""

    label: Template
    link_id: str


@dataclass(frozen=True, slots=True)
class CompiledMessage:
    """A message with its variations, ready to be rendered."""

    message_id: str
    own: Template
    variations: tuple[tuple[str, Template], ...]
    weights: tuple[float, ...]
    fields: frozenset[str]
    media: Media | None = None
    keyboard: tuple[tuple[CompiledButton, ...], ...] = ()

    def choose(self, seed: str, contact_id: str) -> tuple[str | None, Template]:
        """The variation's id (None: the own content) and text for this contact."""
        index = choose_variation(seed, self.message_id, contact_id, self.weights)
        return (None, self.own) if index is None else self.variations[index]


@dataclass(frozen=True, slots=True)
class Composed:
    """What a contact will read: the text, and the labels of the buttons, row by row."""

    text: str
    labels: Sequence[Sequence[str]]


def compile_message(message: FrozenMessage) -> CompiledMessage:
    """Compile a frozen message once for all its contacts."""
    mode, personal, caption = message.parse_mode, message.personalization, message.media is not None
    own = compile_template(message.content, mode, personal, caption=caption)
    variations = tuple(
        (item.id, compile_template(item.content, mode, personal, caption=caption))
        for item in message.variations
    )
    keyboard = _keyboard(message)
    labels = [button.label for row in keyboard for button in row]
    return CompiledMessage(
        message_id=message.id,
        own=own,
        variations=variations,
        weights=tuple(item.weight for item in message.variations),
        fields=own.fields.union(*(template.fields for _, template in variations)).union(
            *(label.fields for label in labels)
        ),
        media=message.media,
        keyboard=keyboard,
    )


def _keyboard(message: FrozenMessage) -> tuple[tuple[CompiledButton, ...], ...]:
    """Labels are plain text, filled as the message is."""
    links = iter(links_of(message))
    return tuple(
        tuple(
            CompiledButton(compile_template(button.text, "none", message.personalization), link.link_id)
            for button, link in zip(row, links, strict=False)
        )
        for row in message.buttons
    )


def compile_template(
    content: str, mode: ParseMode, personal: Personalization, *, caption: bool = False
) -> Template:
    """Split `content` at the placeholders that `personal` lets be filled. `caption`: beside media."""
    pieces: list[Piece] = []
    end = 0
    for match in _PLACEHOLDER.finditer(content):
        before = content[end : match.start()]
        if mode == "MarkdownV2" and _ESCAPES_NEXT.search(before):
            continue
        if mode == "MarkdownV2" and _opens_code(content[: match.start()]):
            before += "\n"  # or the value's first word would be taken for the name of a language
        if _filled(match[1], personal):
            pieces += [before, _placeholder(match[1], match[2])]
        else:
            pieces.append(before + (escape(match[0], mode) if mode == "MarkdownV2" else match[0]))
        end = match.end()
    pieces.append(content[end:])
    fixed = "".join(piece for piece in pieces if isinstance(piece, str))
    return Template(
        tuple(piece for piece in pieces if piece != ""),
        mode,
        visible=caption or visible_length(fixed, mode) > 0,
        limit=MAX_CAPTION if caption else MAX_LENGTH,
    )


def _opens_code(before: str) -> bool:
    """Whether what comes next is the beginning of code in lines."""
    return before.endswith(_FENCE) and before.count(_FENCE) % 2 == 1


def _filled(field: str, personal: Personalization) -> bool:
    return personal.enabled and (personal.fields is None or field in personal.fields)


def _placeholder(path: str, default: str | None) -> Placeholder:
    """What no contact has is a gap all the same: its default stands there, or it is missing."""
    field, _, key = path.partition(".")
    if field == "attributes" and key:
        return Placeholder(key, attribute=True, default=default)
    return Placeholder(path if path in _FIELDS else "", attribute=False, default=default)


def compose(message: CompiledMessage, template: Template, fields: Mapping[str, Any]) -> Composed | str:
    """What a contact with `fields` will read of `template`, one of the message's texts; or why it is none:
    `MISSING_FIELD`, `MESSAGE_TOO_LONG`, `MESSAGE_EMPTY` (a label without text is empty, too).
    """
    try:
        text = render(template, fields)
        labels = _labels(message, fields) if message.keyboard else ()
    except MissingField:
        return "MISSING_FIELD"
    fault = length_fault(text, template)
    if fault is None and labels and not all(label.strip() for row in labels for label in row):
        return "MESSAGE_EMPTY"
    return Composed(text, labels) if fault is None else fault


def _labels(message: CompiledMessage, fields: Mapping[str, Any]) -> list[list[str]]:
    return [[render(button.label, fields) for button in row] for row in message.keyboard]


def render(template: Template, fields: Mapping[str, Any]) -> str:
    """The text for one contact, from its fields by the API's names. Raises MissingField."""
    escaped, attributes = ESCAPES[template.parse_mode], fields.get("attributes", {})
    parts: list[str] = []
    for piece in template.pieces:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        value = (attributes if piece.attribute else fields).get(piece.name)
        text = (value if isinstance(value, str) else _as_text(value)) or piece.default
        if text is None:
            raise MissingField
        parts.append(escaped(text))
    return "".join(parts)


def length_fault(text: str, template: Template) -> str | None:
    """The code of a text of `template` that Telegram does not take for its length.

    Most texts need no look at their markup: it only ever makes what is seen shorter.
    """
    if len(text) > template.limit and visible_length(text, template.parse_mode) > template.limit:
        return "MESSAGE_TOO_LONG"
    if not template.visible and visible_length(text, template.parse_mode) == 0:
        return "MESSAGE_EMPTY"
    return None


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
