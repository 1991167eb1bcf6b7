"""Reading a contact's fields as they come from JSON or CSV: each one checked, text in NFC.

The same rules for one contact by PUT and for millions by import, so they are plain functions: about
ten microseconds a contact. A null stands for "remove": it becomes the field's empty value.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, get_args
from zoneinfo import available_timezones

from service_kit.errors import Detail, FieldErrors
from service_kit.text import clean_text

from execution_service.domain.contact import CONTACT_ID, Scalar, Unreachable
from execution_service.domain.countries import COUNTRIES

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
ATTRIBUTE = re.compile(r"[^\W\d][\w-]{0,63}")
INT64 = 2**63


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    """`localtime` is whatever the machine's is, `Factory` that nobody has set it: neither is a place's."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _text(most: int) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        if len(value) > most:
            raise ValueError(f"must not be longer than {most} characters")
        return clean_text(value)

    return read


def _integer(least: int, most: int, rule: str) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, float) and abs(value) >= INT64:  # what JSON readers make of longer integers
            raise ValueError(rule)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be an integer")
        if not least <= value <= most:
            raise ValueError(rule)
        return value

    return read


_chat_range = _integer(-INT64, INT64 - 1, "must fit into 64 bits")


def _chat_id(value: object) -> int:
    chat_id = _chat_range(value)
    if chat_id == 0:
        raise ValueError("must not be 0")
    return chat_id


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def timezone(value: object) -> str:
    """`value`, if it names a time zone. Raises ValueError."""
    if not isinstance(value, str) or value not in _timezones():
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return value


def _location(value: object) -> str:
    if not isinstance(value, str) or value not in COUNTRIES:
        raise ValueError("must be an ISO 3166-1 alpha-2 code in capitals, such as US")
    return value


def _language(value: object) -> str:
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise ValueError("must be a language tag such as en or pt-BR")
    return value


_interest = _text(100)


def _list(value: object, item: Callable[[object], str], most: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    if len(value) > most:
        raise ValueError(f"must not have more than {most} items")
    return tuple(dict.fromkeys(map(item, value)))


def _interests(value: object) -> tuple[str, ...]:
    return _list(value, _interest, 100)


def _segment(value: object) -> str:
    if not isinstance(value, str) or not CONTACT_ID.fullmatch(value):
        raise ValueError("must hold segment ids: letters, digits and ._~@-, 1 to 128 of them")
    return value


def _segments(value: object) -> tuple[str, ...]:
    return _list(value, _segment, 1000)


_attribute_text = _text(1000)


def _attribute(value: object) -> Scalar | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _chat_range(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("must be finite")
        return value
    if isinstance(value, str):
        return _attribute_text(value)
    raise ValueError("must be a text, a number, true or false")


_OPTIONAL: dict[str, tuple[str, Callable[[object], Any], Any]] = {
    "firstName": ("first_name", _text(256), None),
    "lastName": ("last_name", _text(256), None),
    "username": ("username", _text(64), None),
    "language": ("language", _language, None),
    "timezone": ("timezone", timezone, None),
    "location": ("location", _location, None),
    "age": ("age", _integer(0, 150, "must be between 0 and 150"), None),
    "interests": ("interests", _interests, ()),
    "purchaseHistory": ("purchase_history", _flag, None),
    "lastPurchase": ("last_purchase", _text(500), None),
    "segments": ("segments", _segments, ()),
    "tester": ("tester", _flag, False),
    "optedOut": ("opted_out", _flag, False),
}
"""JSON name → (attribute, reader, empty value)."""

READ_ONLY = frozenset({"id", "createdAt", "updatedAt"})
"""Shown by GET, accepted and ignored in what comes back."""
FIELDS = frozenset({*_OPTIONAL, "telegramChatId", "attributes", "unreachable"})


def read_changes(raw: Mapping[str, object]) -> dict[str, Any]:
    """Checked changes for `change_contact`. Raises FieldErrors that names every field at fault."""
    changes: dict[str, Any] = {}
    problems: list[Detail] = []
    for name, value in raw.items():
        try:
            if name == "telegramChatId":
                changes["telegram_chat_id"] = _chat_id(value)
            elif name == "attributes":
                changes["attributes"] = _attributes(value, problems)
            elif name == "unreachable":
                if _cleared(value):
                    changes["unreachable"] = None
            elif known := _OPTIONAL.get(name):
                attribute, read, empty = known
                changes[attribute] = empty if value is None else read(value)
            elif name not in READ_ONLY:
                raise ValueError("unknown field")
        except ValueError as error:
            problems.append(Detail(name[:100], str(error)))
    if problems:
        raise FieldErrors(f"{problems[0].field}: {problems[0].message}", details=problems[:50])
    return changes


def _cleared(value: object) -> bool:
    """Deliveries say who is unreachable: null takes it back, and what GET shows comes back and is ignored."""
    if value is not None and value not in get_args(Unreachable):
        raise ValueError("can only be emptied (null): deliveries set it")
    return value is None


def _attributes(value: object, problems: list[Detail]) -> dict[str, Scalar | None] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")
    checked: dict[str, Scalar | None] = {}
    for key, item in value.items():
        try:
            if not ATTRIBUTE.fullmatch(key):
                raise ValueError("keys are a letter, then letters, digits, _ and -, 64 at most")
            checked[clean_text(key)] = _attribute(item)
        except ValueError as error:
            problems.append(Detail(f"attributes.{key[:64]}", str(error)))
    return checked


def read_contact_id(value: object) -> str:
    """A contact's id as a client chose it. Raises FieldErrors on `id`."""
    if not isinstance(value, str) or not CONTACT_ID.fullmatch(value):
        rule = "must be letters, digits and ._~@-, 1 to 128 of them" if value else "is required"
        raise FieldErrors(f"id: {rule}", details=[Detail("id", rule)])
    return value
