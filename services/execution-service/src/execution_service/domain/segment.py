"""A segment: a named group of contacts, either its members or a filter.

Of a static one, membership is the contact's own list of segment ids. Of a dynamic one, `filters` say who is
in it, and nobody is put into it. Which of the two it is never changes.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from service_kit.errors import Detail, FieldErrors

from execution_service.domain.audience import read_rule
from execution_service.domain.contact import Changes, Contact


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of `org`; its members are counted, not kept here.

    `filters` as in a campaign's audience; None: it is static. `revision` grows with every change, and from
    one segment to the next of the same id.
    """

    org: str
    segment_id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    filters: Mapping[str, object] | None = None
    revision: int = 1


def check_filters(filters: Mapping[str, object] | None) -> None:
    """Raises FieldErrors that names every filter that cannot be understood, or that there is none."""
    if filters is None:
        return
    if not filters:
        raise FieldErrors("filters: must not be empty", details=[Detail("filters", "must not be empty")])
    read_rule((), filters, ())


def changed(
    before: Segment, *, name: str, description: str, filters: Mapping[str, object] | None, now: datetime
) -> Segment:
    """The segment with these values; the same object when nothing differs. Raises FieldErrors."""
    if (filters is None) != (before.filters is None):
        kind = "a list of members" if before.filters is None else "a filter"
        rule = f"this segment is {kind} and stays one; make another segment"
        raise FieldErrors(f"filters: {rule}", details=[Detail("filters", rule)])
    check_filters(filters)
    same = (name, description) == (before.name, before.description)
    # As text: to Python 1 equals true.
    if same and json.dumps(filters, sort_keys=True) == json.dumps(before.filters, sort_keys=True):
        return before
    revision = next_revision(now, before.revision)
    return replace(
        before, name=name, description=description, filters=filters, updated_at=now, revision=revision
    )


def next_revision(now: datetime, before: int = 0) -> int:
    """Greater than `before`, and than that of any segment of an earlier time: milliseconds since 1970."""
    return max(before + 1, int(now.timestamp() * 1000))


def refuse_filters(changes: Changes, filters: Collection[str], before: Contact | None) -> None:
    """Raises FieldErrors when a contact is to be put into one of the segments that are `filters`.

    Where it names one already, from before that was one, it may go on doing so: it has no effect.
    """
    if not filters or "segments" not in changes:
        return
    mine = before.segments if before else ()
    for segment in changes["segments"]:
        if segment in filters and segment not in mine:
            rule = f"{segment} is a filter: it finds its members by itself"
            raise FieldErrors(f"segments: {rule}", details=[Detail("segments", rule)])
