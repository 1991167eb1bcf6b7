"""`ETag` and `If-Match` (RFC 9110): the version of what is stored, as a strong validator."""

import re
from collections.abc import Collection
from typing import Annotated

from fastapi import Depends, Header
from fastapi.exceptions import RequestValidationError

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ABSURD = 20
"""No version has so many digits."""


def etag(version: int) -> str:
    """The tag of a version."""
    return f'"{version}"'


def _versions(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="`ETag` values of the versions meant, or `*`; any other version is 412.",
            max_length=1000,
        ),
    ] = None,
) -> Collection[int] | None:
    """The versions that the client means; None: whichever it is. A weak tag never matches."""
    if if_match is None or if_match.strip() == "*":
        return None
    versions: set[int] = set()
    for part in if_match.split(","):
        match = _TAG.fullmatch(part.strip())
        if match is None:
            problem = {
                "loc": ("header", "If-Match"),
                "msg": 'must be * or tags such as "3"',
                "type": "value_error",
            }
            raise RequestValidationError([problem])
        if match[1] is None and match[2].isdecimal() and len(match[2]) < _ABSURD:
            versions.add(int(match[2]))
    return versions


IfMatch = Annotated[Collection[int] | None, Depends(_versions)]
"""A route's `If-Match`: the versions that it may change; None: any."""
