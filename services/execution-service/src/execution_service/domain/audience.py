"""Whom a campaign addresses: a rule that every contact can be held against.

Segments are united, excluded segments subtracted, filters intersect; no segments but filters means
everybody of the organisation, and neither means nobody. `AudienceRule.admits` is the meaning;
`audience_columns` answers the same for thousands at once, and a test holds the two equal.
Values compare as in JSON: true is not 1, "1" is not 1, and what a contact lacks equals nothing.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

from service_kit.errors import Detail, FieldErrors

from execution_service.domain.contact import Contact, Scalar
from execution_service.domain.contact_fields import ATTRIBUTE, INT64


def kind_of(value: object) -> str:
    """Values of different kinds are neither equal nor ordered."""
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else "text"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field is (or, of a list, holds) one of `values`."""

    field: str
    values: tuple[Scalar, ...]

    def holds(self, value: Scalar) -> bool:
        """Whether `value` is one of them."""
        return any(kind_of(value) == kind_of(wanted) and value == wanted for wanted in self.values)


@dataclass(frozen=True, slots=True)
class Between:
    """The field lies between the bounds, which are included; None: no bound. Texts by code point."""

    field: str
    least: Scalar | None
    most: Scalar | None

    def holds(self, value: Scalar) -> bool:
        """Whether `value` is of the bounds' kind and between them."""
        bound = self.most if self.least is None else self.least
        if kind_of(value) != kind_of(bound):
            return False
        above = self.least is None or self.least <= value  # type: ignore[operator]  # of one kind
        return above and (self.most is None or value <= self.most)  # type: ignore[operator]


Condition = AnyOf | Between


@dataclass(frozen=True, slots=True)
class AudienceRule:
    """Segments united, `excluded` ones subtracted, all `conditions` met.

    `dynamic`: the segments that are conditions rather than lists of members, each with all of them.
    """

    segments: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    dynamic: tuple[tuple[str, tuple[Condition, ...]], ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it names nobody at all."""
        return not self.segments and not self.conditions

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a contact that it looks at."""
        looked_at = [*self.conditions]
        for segment in (*self.segments, *self.excluded):
            looked_at += self.membership(segment)
        return frozenset(condition.field for condition in looked_at)

    def membership(self, segment: str) -> tuple[Condition, ...]:
        """What makes a contact a member of `segment`: all of these."""
        for name, conditions in self.dynamic:
            if name == segment:
                return conditions
        return (AnyOf("segments", (segment,)),)

    def admits(self, contact: Contact) -> bool:
        """Whether the contact is meant."""

        def meets(conditions: Sequence[Condition]) -> bool:
            return all(
                any(condition.holds(value) for value in _values(contact, condition.field))
                for condition in conditions
            )

        def is_in(segments: Sequence[str]) -> bool:
            return any(meets(self.membership(segment)) for segment in segments)

        if self.empty or (self.segments and not is_in(self.segments)):
            return False
        return not is_in(self.excluded) and meets(self.conditions)


_ATTRIBUTE_PREFIX = "attributes."


def facts(contact: Contact) -> Iterator[tuple[str, Scalar]]:
    """Everything about the contact that a condition may look at: (field, value), lists value by value."""
    for segment in contact.segments:
        yield "segments", segment
    for interest in contact.interests:
        yield "interests", interest
    if contact.location is not None:
        yield "location", contact.location
    if contact.age is not None:
        yield "age", contact.age
    if contact.purchase_history is not None:
        yield "purchaseHistory", contact.purchase_history
    for key, value in contact.attributes.items():
        yield _ATTRIBUTE_PREFIX + key, value


def _values(contact: Contact, field: str) -> list[Scalar]:
    return [value for name, value in facts(contact) if name == field]


def read_rule(
    segments: Sequence[str],
    filters: Mapping[str, object] | None,
    excluded: Sequence[str],
    dynamic: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
) -> AudienceRule:
    """The rule that a campaign's audience means. Raises FieldErrors that names every filter at fault.

    `dynamic`: filters of those among the segments that have some. A filter that cannot be understood is
    never left out: that would address more people than were meant.
    """
    named = dict.fromkeys([*segments, *excluded])
    return AudienceRule(
        tuple(dict.fromkeys(segments)),
        tuple(dict.fromkeys(excluded)),
        read_filters(filters or {}),
        tuple((segment, read_filters(dynamic[segment])) for segment in named if dynamic.get(segment)),
    )


def read_filters(filters: Mapping[str, object]) -> tuple[Condition, ...]:
    """The conditions that `filters` mean, all to be met. Raises FieldErrors that names every one at fault."""
    conditions: list[Condition] = []
    problems: list[Detail] = []
    for key, value in filters.items():
        try:
            conditions.append(_FILTERS.get(key, _attribute)(key, value))
        except ValueError as error:
            problems.append(Detail(f"filters.{key[:64]}", str(error)))
    if problems:
        raise FieldErrors(f"{problems[0].field}: {problems[0].message}", details=problems[:50])
    return tuple(conditions)


def _texts(field: str) -> Callable[[str, object], Condition]:
    def read(_: str, value: object) -> Condition:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError("must be a list of texts")
        return AnyOf(field, tuple(map(_scalar, value)))

    return read


def _age_range(_: str, value: object) -> Condition:
    if not isinstance(value, list) or len(value) != 2 or {kind_of(item) for item in value} != {"number"}:
        raise ValueError("must be [from, to]")
    return Between("age", _scalar(value[0]), _scalar(value[1]))


def _purchase_history(_: str, value: object) -> Condition:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return AnyOf("purchaseHistory", (value,))


def _attribute(key: str, value: object) -> Condition:
    if not ATTRIBUTE.fullmatch(key):
        raise ValueError("is neither a field nor the name of an attribute")
    field = _ATTRIBUTE_PREFIX + unicodedata.normalize("NFC", key)
    if isinstance(value, list):
        return AnyOf(field, tuple(map(_scalar, value)))
    if isinstance(value, Mapping):
        return _range(field, value)
    return AnyOf(field, (_scalar(value),))


def _range(field: str, value: Mapping[str, object]) -> Condition:
    bounds = {name: _scalar(bound) for name, bound in value.items() if bound is not None}
    kinds = {kind_of(bound) for bound in bounds.values()}
    if not bounds or not bounds.keys() <= {"min", "max"} or len(kinds) > 1 or "flag" in kinds:
        raise ValueError("must have min, max or both, two numbers or two texts")
    return Between(field, bounds.get("min"), bounds.get("max"))


def _scalar(value: object) -> Scalar:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)  # contacts' texts are stored in NFC
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, int) and -INT64 <= value < INT64:
        return value
    raise ValueError("must be a text, true, false or a number of at most 64 bits")


_FILTERS: dict[str, Callable[[str, object], Condition]] = {
    "location": _texts("location"),
    "ageRange": _age_range,
    "interests": _texts("interests"),
    "purchaseHistory": _purchase_history,
}
