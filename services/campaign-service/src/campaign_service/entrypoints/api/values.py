"""Numbers and texts as this API takes and shows them.

JSON types are taken literally: `"5"` and `true` are no numbers.
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

from contracts.tracking import CLICK_ID
from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints
from service_kit.api.types import Text

_URL_TEXT = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
"""All that RFC 3986 lets stand in a URL."""


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _https(value: str) -> str:
    return _url(value, ("https",))


def _button(value: str) -> str:
    """A URL that may have the click id's place, once, where it cannot change whose URL it is."""
    before, _, after = value.partition(CLICK_ID)
    if "{{" in before + after:
        raise ValueError(f"must not hold placeholders, but {CLICK_ID} once")
    if CLICK_ID in value and not re.search("://[^/?#]+[/?#]", before):
        raise ValueError(f"must not hold {CLICK_ID} before the end of the host")
    _url(before + after, ("https", "http"))
    return value


def _url(value: str, schemes: tuple[str, ...]) -> str:
    """An absolute URL, in ASCII: it goes into a header as it is."""
    if "{{" in value:
        raise ValueError("must not hold placeholders")
    if not _URL_TEXT.fullmatch(value):
        raise ValueError("must be a URL in ASCII; percent-encode other characters")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in schemes or "@" in parts.netloc:
        raise ValueError(f"must be an absolute {' or '.join(schemes)} URL without a user")
    return value


def _short(value: float) -> int | float:
    """5000 rather than 5000.0, as the contract shows numbers."""
    return int(value) if float(value).is_integer() else value


Amount = Annotated[float, Field(strict=True, ge=0, le=1e15)]
"""A non-negative number, such as money."""
Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Number = Annotated[float, PlainSerializer(_short, when_used="json")]
"""A number in an answer."""
Flag = Annotated[bool, Field(strict=True)]
Content = Annotated[Text, StringConstraints(min_length=1, max_length=4096), AfterValidator(_not_blank)]
"""The text of a message: what Telegram takes, 1-4,096 characters, not only blanks."""
Label = Annotated[Text, StringConstraints(min_length=1, max_length=100), AfterValidator(_not_blank)]
"""The text of a button."""
_Address = StringConstraints(min_length=8, max_length=2048)
MediaUrl = Annotated[str, _Address, AfterValidator(_https), Field(json_schema_extra={"format": "uri"})]
"""An absolute URL in ASCII without placeholders."""
ButtonUrl = Annotated[str, _Address, AfterValidator(_button), Field(examples=["https://shop.example/sale"])]
"""An absolute URL in ASCII without placeholders but `CLICK_ID`."""
