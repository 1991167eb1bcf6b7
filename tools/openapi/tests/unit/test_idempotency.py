"""Every operation that creates or starts something can be repeated safely."""

from openapi_document.apps import documents
from service_kit.api.idempotency import NAME

WITHOUT = {"importContacts"}
"""Repeating these changes nothing as they are: an import puts contacts by their ids."""


def test_every_post_takes_an_idempotency_key() -> None:
    posts = [
        operation
        for document in documents().values()
        for path in document["paths"].values()
        for method, operation in path.items()
        if method == "post"
    ]
    takes = {post["operationId"]: NAME in [p["name"] for p in post.get("parameters", [])] for post in posts}
    assert {name for name, does in takes.items() if not does} == WITHOUT
