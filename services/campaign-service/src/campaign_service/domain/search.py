"""Search by word prefixes in any language, made so that ranges of one multikey index serve it.

A text is found by its words; what begins with a query's word lies in one range of them. Words are
compared by their first 32 characters.
"""

import unicodedata
from collections.abc import Collection, Iterator

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


def matches(asked: Collection[str], text: str) -> bool:
    """Whether every one of the words `asked` begins a word of `text`."""
    there = words(text)
    return all(any(word.startswith(start) for word in there) for start in asked)
