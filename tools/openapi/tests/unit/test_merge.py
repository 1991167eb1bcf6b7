"""Several documents become one: names that mean different things are kept apart, others are shared."""

from typing import Any

import pytest
from openapi_document.merge import MergeError, merge

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def document(path: str, answer: str, schemas: dict[str, Any], *, tag: str = "campaigns") -> dict[str, Any]:
    operation = {
        "operationId": f"get{answer}At{path.strip('/').capitalize()}",
        "tags": [tag],
        "responses": {"200": {"content": {"application/json": {"schema": ref(answer)}}}},
    }
    return {"openapi": "3.1.0", "paths": {path: {"get": operation}}, "components": {"schemas": schemas}}


def answered(merged: dict[str, Any], path: str) -> str:
    schema = merged["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return str(schema["$ref"]).rpartition("/")[2]


def test_schemas_of_the_same_shape_are_shared() -> None:
    merged = merge(
        {"stats": document("/a", "Page", {"Page": TEXT}), "webhook": document("/b", "Page", {"Page": TEXT})}
    )
    assert merged["components"]["schemas"] == {"Page": TEXT}
    assert list(merged["paths"]) == ["/a", "/b"]


def test_schemas_that_differ_are_named_after_their_service_everywhere() -> None:
    merged = merge(
        {"stats": document("/a", "Sum", {"Sum": TEXT}), "campaign": document("/b", "Sum", {"Sum": NUMBER})}
    )
    assert merged["components"]["schemas"] == {"CampaignSum": NUMBER, "StatsSum": TEXT}
    assert (answered(merged, "/a"), answered(merged, "/b")) == ("StatsSum", "CampaignSum")


def test_what_refers_to_a_renamed_schema_is_kept_apart_too() -> None:
    outer = {"properties": {"sum": ref("Sum")}}
    merged = merge({
        "stats": document("/a", "Outer", {"Sum": TEXT, "Outer": outer}),
        "campaign": document("/b", "Outer", {"Sum": NUMBER, "Outer": {"properties": {"sum": ref("Sum")}}}),
    })  # fmt: skip
    assert merged["components"]["schemas"]["StatsOuter"] == {"properties": {"sum": ref("StatsSum")}}
    assert answered(merged, "/b") == "CampaignOuter"


def test_the_result_does_not_depend_on_the_order() -> None:
    def two() -> list[tuple[str, dict[str, Any]]]:
        return [
            ("stats", document("/a", "Sum", {"Sum": TEXT})),
            ("webhook", document("/b", "Sum", {"Sum": NUMBER})),
        ]

    assert merge(dict(two())) == merge(dict(reversed(two())))


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (document("/a", "Page", {"Page": TEXT}), "/a is in two services"),
        (document("/b", "Page", {"Page": TEXT}, tag="parties"), "no description of the tag parties"),
        (document("/A", "Page", {"Page": TEXT}), "two operations are called getPageAtA"),
    ],
)
def test_what_does_not_fit_together_is_refused(second: dict[str, Any], problem: str) -> None:
    with pytest.raises(MergeError, match=problem):
        merge({"stats": document("/a", "Page", {"Page": TEXT}), "webhook": second})
