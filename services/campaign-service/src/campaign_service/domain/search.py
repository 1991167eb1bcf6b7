"""Search by word prefixes in any language, made so that equality on one multikey index serves it.

A text is stored as every prefix of every word; a query word matches when it is one of them. There
are never more prefixes than characters. Words are compared by their first 32 characters.
"""

import unicodedata
from collections.abc import Iterator

WORD_LENGTH = 32


def words(text: str) -> list[str]:
    """The distinct words of `text`, folded for comparison, in order of appearance."""
    return list(dict.fromkeys(_words(text)))


def _words(text: str) -> Iterator[str]:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    word, counts = "", False
    for character in f"{folded} ":
        kind = unicodedata.category(character)[0]
        if kind in "LNM":  # marks belong to the word: many scripts write vowels with them
            word += character
            counts = counts or kind != "M"
            continue
        if counts:
            yield word[:WORD_LENGTH]
        word, counts = "", False


def prefixes(text: str) -> list[str]:
    """Every prefix of every word of `text`, once each."""
    return list(dict.fromkeys(word[:end] for word in words(text) for end in range(1, len(word) + 1)))
