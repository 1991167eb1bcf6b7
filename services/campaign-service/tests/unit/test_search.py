"""Search by word prefixes."""

import pytest
from campaign_service.domain.search import WORD_LENGTH, matches, words
from hypothesis import given
from hypothesis import strategies as st


def found(query: str, text: str) -> bool:
    asked = words(query)
    return bool(asked) and matches(asked, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("summ", "Summer Sale"),
        ("SALE sum", "Summer Sale"),
        ("sale", "summer-sale!"),
        ("straße", "Große STRASSE"),
        ("скид", "Летние скидки"),
        ("מבצע", "מבצע קיץ 🌞"),
        ("हिन्दी", "अभियान हिन्दी में"),
        ("夏の", "夏のセール"),
        ("cafe\u0301", "Caf\u00e9 opening"),
        ("30", "Get 30% off"),
    ],
)
def test_a_word_is_found_by_its_beginning(query: str, text: str) -> None:
    assert found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [("ale", "Summer Sale"), ("sale winter", "Summer Sale"), ("summersale", "Summer Sale"), ("🌞", "Sun 🌞")],
)
def test_only_beginnings_of_words_match_and_every_word_must(query: str, text: str) -> None:
    assert not found(query, text)


@given(st.text(max_size=200))
def test_a_text_is_found_by_each_of_its_words_and_their_beginnings(text: str) -> None:
    for word in words(text):
        assert 0 < len(word) <= WORD_LENGTH
        assert all(matches([word[:end]], text) for end in range(1, len(word) + 1))
