"""`ETag` and `If-Match` (RFC 9110): the version of what is stored, as a strong validator."""

import re
from collections.abc import Collection
from typing import Annotated

from fastapi import Depends, Header
from fastapi.exceptions import RequestValidationError

_MEMBER = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)')
"""One member of the list, or an empty one, which counts for nothing; a tag may hold a comma."""
_TAGS = r'^(\*|(W/)?"[!#-~]{0,40}"(, ?(W/)?"[!#-~]{0,40}"){0,15})$'
"""For the document; what is read is more lenient with spaces and length."""
_ABSURD = 20
"""No version has so many digits."""


def etag(version: int) -> str:
    """The tag of a version."""
    return f'"{version}"'


async def _versions(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="`ETag` values of the versions meant, or `*`; any other version is 412.",
            examples=['"3"'],
            max_length=1000,
            json_schema_extra={"pattern": _TAGS},
        ),
    ] = None,
) -> Collection[int] | None:
    """The versions that the client means; None: whichever it is. A weak tag never matches."""
    if if_match is None or if_match.strip() == "*":
        return None
    versions: set[int] = set()
    place = 0
    while place < len(if_match):
        member = _MEMBER.match(if_match, place)
        if member is None:
            problem = {
                "loc": ("header", "If-Match"),
                "msg": 'must be * or tags such as "3"',
                "type": "value_error",
            }
            raise RequestValidationError([problem])
        weak, tag, place = member[1], member[2] or "", member.end()
        if weak is None and tag.isdecimal() and len(tag) < _ABSURD:
            versions.add(int(tag))
    return versions


IfMatch = Annotated[Collection[int] | None, Depends(_versions)]
"""A route's `If-Match`: the versions that it may change; None: any."""
