"""Which segments of an audience a contact is in.

The meaning is that of `AudienceRule.membership`; here one contact after another is held against all the
segments, as they were defined at one moment. Made anew every moment, so what it remembers stays small.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from execution_service.domain.audience import AudienceRule, Condition
from execution_service.domain.contact import Scalar

_LISTED = "segments"
"""Of a static segment, membership is the contact's own list."""
_ATTRIBUTE, _PREFIX = "attributes", "attributes."


class Membership:
    """Of a rule's segments, those that are united: the excluded ones have no members among the contacts."""

    def __init__(self, rule: AudienceRule) -> None:
        filters = dict(rule.dynamic)
        self._segments = rule.segments
        self._static = frozenset(segment for segment in rule.segments if segment not in filters)
        self._dynamic = [
            (segment, [_Remembered(condition) for condition in filters[segment]])
            for segment in rule.segments
            if segment in filters
        ]
        self._known: dict[frozenset[str], tuple[str, ...]] = {}
        looked_at = [condition.field for _, conditions in self._dynamic for condition in conditions]
        self.fields = frozenset([*looked_at, *([_LISTED] if self._static else [])])
        """The fields of a contact that are looked at, by the API's names (`segments`, `attributes.city`)."""

    def of(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """The segments that a contact with these `fields` is in, in the rule's order."""
        found = self._static.intersection(fields.get(_LISTED) or ())
        if self._dynamic:
            values = {field: _values(fields, field) for field in self.fields}
            found |= {
                segment
                for segment, conditions in self._dynamic
                if all(condition.any_holds(values[condition.field]) for condition in conditions)
            }
        known = self._known.get(found)
        if known is None:
            known = self._known[found] = tuple(segment for segment in self._segments if segment in found)
        return known


class _Remembered:
    """A condition that remembers its answers: of the values that occur, most occur again."""

    def __init__(self, condition: Condition) -> None:
        self.field = condition.field
        self._holds = condition.holds
        self._known: dict[tuple[type, Scalar], bool] = {}  # to Python 1 equals true

    def any_holds(self, values: Sequence[Scalar]) -> bool:
        for value in values:
            key = type(value), value
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._holds(value)
            if known:
                return True
        return False


def _values(fields: Mapping[str, Any], field: str) -> Sequence[Scalar]:
    """What the contact has of `field`, lists value by value."""
    if field.startswith(_PREFIX):
        value = fields.get(_ATTRIBUTE, {}).get(field[len(_PREFIX) :])
    else:
        value = fields.get(field)
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
