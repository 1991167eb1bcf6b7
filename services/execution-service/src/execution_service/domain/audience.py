"""Whom a campaign addresses: a rule that every contact can be held against.

Segments are united, excluded segments subtracted, filters intersect; no segments but filters means
everybody of the organisation, and neither means nobody. `AudienceRule.admits` is the meaning; MongoDB's
condition in the adapter says the same for counting, and a test holds the two equal on the same contacts.
Values compare as in JSON: true is not 1, "1" is not 1, and what a contact lacks equals nothing.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from service_kit.errors import Detail, FieldErrors

from execution_service.domain.contact import Contact, Scalar
from execution_service.domain.contact_fields import ATTRIBUTE, INT64


def _kind(value: object) -> str:
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
        return any(_kind(value) == _kind(wanted) and value == wanted for wanted in self.values)


@dataclass(frozen=True, slots=True)
class Between:
    """The field lies between the bounds, which are included; None: no bound. Texts by code point."""

    field: str
    least: Scalar | None
    most: Scalar | None

    def holds(self, value: Scalar) -> bool:
        """Whether `value` is of the bounds' kind and between them."""
        bound = self.most if self.least is None else self.least
        if _kind(value) != _kind(bound):
            return False
        above = self.least is None or self.least <= value  # type: ignore[operator]  # of one kind
        return above and (self.most is None or value <= self.most)  # type: ignore[operator]


Condition = AnyOf | Between


@dataclass(frozen=True, slots=True)
class AudienceRule:
    """Segments united, `excluded` ones subtracted, all `conditions` met."""

    segments: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it names nobody at all."""
        return not self.segments and not self.conditions

    def covers(self, segments: Sequence[str]) -> bool:
        """Whether a contact of these segments is meant, as far as segments tell."""
        mine = set(segments)
        meant = not self.empty and (not self.segments or not mine.isdisjoint(self.segments))
        return meant and mine.isdisjoint(self.excluded)

    def admits(self, contact: Contact) -> bool:
        """Whether the contact is meant."""
        return self.covers(contact.segments) and all(
            any(condition.holds(value) for value in _values(contact, condition.field))
            for condition in self.conditions
        )


_ATTRIBUTE_PREFIX = "attributes."


def _values(contact: Contact, field: str) -> Sequence[Scalar]:
    """What the contact has in `field`; nothing, one value, or a list's."""
    if field == "interests":
        return contact.interests
    value: Scalar | None
    if field == "location":
        value = contact.location
    elif field == "age":
        value = contact.age
    elif field == "purchaseHistory":
        value = contact.purchase_history
    else:
        value = contact.attributes.get(field.removeprefix(_ATTRIBUTE_PREFIX))
    return () if value is None else (value,)


def read_rule(
    segments: Sequence[str], filters: Mapping[str, object] | None, excluded: Sequence[str]
) -> AudienceRule:
    """The rule that a campaign's audience means. Raises FieldErrors that names every filter at fault.

    A filter that cannot be understood is never left out: that would address more people than were meant.
    """
    conditions: list[Condition] = []
    problems: list[Detail] = []
    for key, value in (filters or {}).items():
        try:
            conditions.append(_FILTERS.get(key, _attribute)(key, value))
        except ValueError as error:
            problems.append(Detail(f"filters.{key[:64]}", str(error)))
    if problems:
        raise FieldErrors(f"{problems[0].field}: {problems[0].message}", details=problems[:50])
    return AudienceRule(tuple(dict.fromkeys(segments)), tuple(dict.fromkeys(excluded)), tuple(conditions))


def _texts(field: str) -> Callable[[str, object], Condition]:
    def read(_: str, value: object) -> Condition:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError("must be a list of texts")
        return AnyOf(field, tuple(map(_scalar, value)))

    return read


def _age_range(_: str, value: object) -> Condition:
    if not isinstance(value, list) or len(value) != 2 or {_kind(item) for item in value} != {"number"}:
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
    kinds = {_kind(bound) for bound in bounds.values()}
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
