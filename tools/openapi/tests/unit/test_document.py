"""The committed document is the code's."""

from openapi_document.__main__ import COMMITTED, text


def test_the_committed_document_is_what_the_code_says() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == text(), "run: make openapi"
