"""Text as the system takes it, from the API and from files alike."""

import unicodedata


def clean_text(value: str) -> str:
    """`value` in NFC. Raises ValueError on lone surrogates and on control characters but newline and tab."""
    if value.isascii() and value.isprintable():
        return value  # most text: nothing to look for, nothing to normalise
    for character in value:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in "\n\t"):
            raise ValueError(f"must not contain the control character U+{ord(character):04X}")
    return unicodedata.normalize("NFC", value)
