"""`python -m openapi_document`: write docs/openapi.json afresh (`make openapi`)."""

import json
from pathlib import Path

from openapi_document.apps import documents
from openapi_document.merge import merge

COMMITTED = Path(__file__).resolve().parents[4] / "docs" / "openapi.json"
"""A link to the file that campaign-service serves."""


def text() -> str:
    """The document as it is committed."""
    return json.dumps(merge(documents()), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it."""
    COMMITTED.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
