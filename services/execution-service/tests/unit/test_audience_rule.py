"""Whom an audience's segments, exclusions and filters mean."""

from datetime import UTC, datetime
from typing import Any

import pytest
from execution_service.domain.audience import AudienceRule, read_rule
from execution_service.domain.contact import Contact
from service_kit.errors import FieldErrors

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def contact(*segments: str, **fields: Any) -> Contact:
    return Contact("acme", "c1", 1, NOW, NOW, segments=segments, **fields)


def admits(filters: dict[str, Any], **fields: Any) -> bool:
    return read_rule([], filters, []).admits(contact(**fields))


def test_segments_are_united_and_excluded_ones_subtracted() -> None:
    rule = read_rule(["a", "b"], None, ["x"])
    assert rule.admits(contact("a"))
    assert rule.admits(contact("b", "c"))
    assert not rule.admits(contact("c"))
    assert not rule.admits(contact("a", "x"))


def test_without_segments_filters_look_at_everybody_and_nothing_at_all_means_nobody() -> None:
    assert read_rule([], {"ageRange": [1, 2]}, []).admits(contact(age=2))
    assert not read_rule([], {"ageRange": [1, 2]}, ["x"]).admits(contact("x", age=2))
    for nobody in (read_rule([], None, []), read_rule([], {}, ["x"]), AudienceRule()):
        assert nobody.empty
        assert not nobody.admits(contact("a"))


@pytest.mark.parametrize(
    ("filters", "yes", "no"),
    [
        ({"location": ["US", "CA"]}, {"location": "CA"}, {"location": "FR"}),
        ({"location": []}, None, {"location": "FR"}),
        ({"ageRange": [18, 45]}, {"age": 18}, {"age": 17}),
        ({"ageRange": [18, 45]}, {"age": 45}, {"age": 46}),
        ({"ageRange": [18, 45]}, None, {}),
        ({"interests": ["a", "b"]}, {"interests": ("c", "b")}, {"interests": ("c",)}),
        ({"interests": ["Café"]}, {"interests": ("Café",)}, {"interests": ()}),
        ({"purchaseHistory": True}, {"purchase_history": True}, {"purchase_history": False}),
        ({"purchaseHistory": False}, {"purchase_history": False}, {}),
        ({"tier": "gold"}, {"attributes": {"tier": "gold"}}, {"attributes": {"tier": "Gold"}}),
        ({"n": 1}, {"attributes": {"n": 1.0}}, {"attributes": {"n": True}}),
        ({"n": True}, {"attributes": {"n": True}}, {"attributes": {"n": 1}}),
        ({"n": 1}, None, {"attributes": {"n": "1"}}),
        ({"n": [1, "x"]}, {"attributes": {"n": "x"}}, {"attributes": {"n": 2}}),
        ({"n": {"min": 1, "max": 2}}, {"attributes": {"n": 2}}, {"attributes": {"n": 2.5}}),
        ({"n": {"min": 1}}, {"attributes": {"n": 7}}, {"attributes": {"n": True}}),
        ({"n": {"max": "b"}}, {"attributes": {"n": "a"}}, {"attributes": {"n": "c"}}),
        ({"location": ["US"], "n": 1}, None, {"location": "US"}),
    ],
)
def test_a_filter_admits_what_it_names_and_nothing_else(
    filters: dict[str, Any], yes: dict[str, Any] | None, no: dict[str, Any]
) -> None:
    assert yes is None or admits(filters, **yes)
    assert not admits(filters, **no)


@pytest.mark.parametrize(
    "filters",
    [
        {"location": "US"}, {"location": [1]}, {"location": None}, {"ageRange": [1]}, {"ageRange": ["a", "b"]},
        {"ageRange": [True, 2]}, {"ageRange": 5}, {"interests": {"a": 1}}, {"purchaseHistory": 1},
        {"purchaseHistory": None}, {"n": None}, {"n": [None]}, {"n": [[1]]}, {"n": {}}, {"n": {"min": 1, "x": 2}},
        {"n": {"min": 1, "max": "b"}}, {"n": {"min": True}}, {"n": {"min": None}}, {"n": float("nan")},
        {"n": 2**63}, {"a.b": 1}, {"$where": "x"}, {"": 1}, {"1a": 1}, {"x" * 65: 1},
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_understood_is_refused_never_left_out(filters: dict[str, Any]) -> None:
    with pytest.raises(FieldErrors) as refused:
        read_rule(["a"], {"location": ["US"], **filters}, [])
    assert refused.value.details[0].field.startswith("filters.")
