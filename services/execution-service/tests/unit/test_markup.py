"""A value stays a value: whatever somebody is called, the markup around the name is the author's.

`parsed` reads MarkdownV2 as Telegram does (tdlib/td, `parse_markdown_v2`), and Python's own parser reads HTML.
"""

from html.parser import HTMLParser
from typing import Any

import pytest
from contracts.events.campaign import ParseMode, Personalization
from execution_service.domain.markup import visible_length
from execution_service.domain.rendering import compile_template, render
from hypothesis import example, given, settings
from hypothesis import strategies as st

VALUE = "\ue000"
"""Stands for a value in a text that is parsed before it is filled."""
Seen = list[tuple[str, tuple[Any, ...]]]
"""Each character that is seen, with what it is within, the outermost first."""
NAMES = st.one_of(
    st.text(st.sampled_from("_*[]()~`>#+-=|{}.!\\\n\t<>&;\"'/ aé😀"), min_size=1, max_size=12),
    st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=12),
)
MARKDOWN = [
    "Hi {{firstName}}\\!",
    "*{{firstName}}*",
    "_{{firstName}}_ and __{{firstName}}__, ~{{firstName}}~ ||{{firstName}}||",
    "*bold _italic {{firstName}}_ bold*",
    "`{{firstName}}` then *{{firstName}}*",
    "```{{firstName}}```",
    "```\n{{firstName}}\n``` and {{firstName}}",
    "```python\n{{firstName}}```",
    "[{{firstName}}](https://shop.example/?n={{firstName}}&x=1) {{firstName}}",
    ">A quotation for {{firstName}}\n>with {{firstName}} again\nand {{firstName}} after it",
    "{{firstName}}{{firstName}}",
    "{{lastName}} {{firstName}}",
]
HTML = [
    "Hi {{firstName}}!",
    "<b>{{firstName}}</b> &amp; <i>{{firstName}}</i>",
    '<a href="https://shop.example/?n={{firstName}}&amp;x=1">{{firstName}}</a>',
    "<a href='https://shop.example/?n={{firstName}}'>{{firstName}}</a>",
    '<pre><code class="language-python">{{firstName}}</code></pre>',
    "<blockquote>{{firstName}}</blockquote><tg-spoiler>{{firstName}}</tg-spoiler>",
]


class Refused(Exception):
    """Telegram answers 400."""


class Reader:
    """One text, read from the left; `open` are the entities around the present place."""

    KINDS = (("__", "underline"), ("_", "italic"), ("*", "bold"), ("~", "strike"), ("||", "spoiler"))

    def __init__(self, text: str) -> None:
        self.text, self.at, self.line = text, 0, True
        self.seen: list[tuple[str, tuple[Any, ...]]] = []
        self.open: list[list[Any]] = []

    def here(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def take(self, character: str) -> None:
        self.seen.append((character, tuple(self.open)))
        self.line = character == "\n"

    def escaped(self) -> str | None:
        if self.here("\\") and self.at + 1 < len(self.text) and "\x01" <= self.text[self.at + 1] <= "\x7e":
            self.at += 2
            return self.text[self.at - 1]
        return None

    def read(self) -> Seen:
        while self.at < len(self.text):
            if (character := self.escaped()) is not None:
                self.take(character)
            elif self.open and self.open[-1][0] in ("code", "pre"):
                self.within_code()
            else:
                self.outside_code()
        if [entity[0] for entity in self.open] not in ([], ["quote"]):
            raise Refused("no end")
        return [(one, tuple(tuple(entity) for entity in around)) for one, around in self.seen]

    def within_code(self) -> None:
        end = "```" if self.open[-1][0] == "pre" else "`"
        if self.here(end):
            self.open.pop()
            self.at += len(end)
        elif self.here("`"):
            raise Refused("a backquote in code")
        else:
            self.take(self.text[self.at])
            self.at += 1

    def outside_code(self) -> None:  # noqa: PLR0912 - a grammar in one place
        character = self.text[self.at]
        if character == "\n":
            if self.open and not self.text.startswith(">", self.at + 1) and self.open[0][0] == "quote":
                if len(self.open) > 1:
                    raise Refused("a quotation ends in an entity")
                self.take("\n")
                self.open.pop()
            else:
                self.take("\n")
            self.at += 1
        elif character == ">":
            if not self.line:
                raise Refused(">")
            if not self.open:
                self.open.append(["quote"])
            self.at += 1
        elif self.here("```"):
            self.at += 3
            end = self.at
            while end < len(self.text) and not self.text[end].isspace() and self.text[end] != "`":
                end += 1
            language = self.text[self.at : end] if self.text[end : end + 1] not in ("", "`") else ""
            self.at += len(language) + self.text.startswith("\n", self.at + len(language))
            self.open.append(["pre", language])
        elif character == "`":
            self.at += 1
            self.open.append(["code"])
        elif character == "[":
            self.at += 1
            self.open.append(["link", ""])
        elif character == "]":
            self.link()
        elif kind := next((kind for kind in self.KINDS if self.here(kind[0])), None):
            self.at += len(kind[0])
            if self.open and self.open[-1][0] == kind[1]:
                self.open.pop()
            else:
                self.open.append([kind[1]])
        elif character in "()#+-=|{}.!":
            raise Refused(character)
        else:
            self.take(character)
            self.at += 1

    def link(self) -> None:
        if not self.open or self.open[-1][0] != "link" or not self.text.startswith("](", self.at):
            raise Refused("]")
        entity = self.open.pop()
        self.at += 2
        while not self.here(")"):
            if self.at >= len(self.text):
                raise Refused("no end of the address")
            character = self.escaped()
            if character is None:
                character = self.text[self.at]
                self.at += 1
            entity[1] += character
        self.at += 1


class Page(HTMLParser):
    """What is seen of HTML, and within what."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[Any, ...]] = []
        self.seen: Seen = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append((tag, *(f"{name}={value}" for name, value in attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.seen += [(one, tuple(self.open)) for one in data]


def parsed(text: str, mode: ParseMode) -> Seen:
    if mode == "MarkdownV2":
        return Reader(text).read()
    page = Page()
    page.feed(text)
    page.close()
    return page.seen


def filled(seen: Seen, value: str) -> Seen:
    """`seen` with the value in its places, as one that changes nothing around it."""
    return [
        (one, tuple(tuple(part.replace(VALUE, value) for part in entity) for entity in around))
        for character, around in seen
        for one in (value if character == VALUE else character)
    ]


def rendered(template: str, mode: ParseMode, value: str) -> str:
    listed = Personalization(fields=["firstName"])
    return render(compile_template(template, mode, listed), {"firstName": value})


CASES = [*((text, "MarkdownV2") for text in MARKDOWN), *((text, "HTML") for text in HTML)]


@pytest.mark.parametrize(("template", "mode"), CASES)
@settings(max_examples=40)
@given(value=NAMES)
@example("<script>'\"&amp;")
@example("a\n>b\n```c\\")
@example("](https://evil.example) [")
def test_a_value_is_seen_as_it_is_and_changes_nothing_around_it(
    template: str, mode: ParseMode, value: str
) -> None:
    before = filled(parsed(rendered(template, mode, VALUE), mode), value)
    assert parsed(rendered(template, mode, value), mode) == before


@pytest.mark.parametrize(("template", "mode"), CASES)
@settings(max_examples=40)
@given(value=NAMES)
def test_the_length_is_that_of_what_is_seen(template: str, mode: ParseMode, value: str) -> None:
    text = rendered(template, mode, value)
    seen = "".join(one for one, _ in parsed(text, mode))
    assert visible_length(text, mode) == len(seen.strip())


def test_a_brace_that_is_escaped_in_markdown_begins_no_placeholder() -> None:
    assert rendered("\\{{firstName}}", "MarkdownV2", "_x") == "\\{{firstName}}"
    assert rendered("\\\\{{firstName}}", "MarkdownV2", "_x") == "\\\\\\_x"
    assert rendered("\\{{firstName}}", "HTML", "x") == "\\x"


def test_a_placeholder_that_is_not_filled_is_shown_as_it_is_written() -> None:
    assert rendered("{{lastName|a_b}}", "MarkdownV2", "") == "\\{\\{lastName\\|a\\_b\\}\\}"
    assert rendered("<b>{{lastName|x}}</b>", "HTML", "") == "<b>{{lastName|x}}</b>"


@pytest.mark.parametrize(
    "text", ["](" * 3_000, "]" + "\\" * 6_000, "`" + "\\" * 6_001, "```a" * 2_000, "`" * 6_001]
)
def test_a_broken_text_takes_no_longer_to_read_than_a_good_one(text: str) -> None:
    # A pattern that tries again what it has read would take minutes here, or for ever.
    assert 0 <= visible_length(text, "MarkdownV2") <= len(text)


@pytest.mark.parametrize(
    ("text", "mode", "length"),
    [
        ("&copy; &#169; &lt&gt;", "HTML", 11),
        ("[shop](https://a.example/x\\)y) now", "MarkdownV2", 8),
        ("```python\nx = 1```", "MarkdownV2", 5),
        ("*a* _b_ __c__ ~d~ ||e|| `f`", "MarkdownV2", 11),
        ("*_*", "MarkdownV2", 0),
        ("👩‍👩‍👧", "none", 5),
    ],
)  # fmt: skip
def test_telegram_counts_code_points_once_the_markup_is_read(text: str, mode: ParseMode, length: int) -> None:
    assert visible_length(text, mode) == length
