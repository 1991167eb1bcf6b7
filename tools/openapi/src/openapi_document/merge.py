"""One document out of several.

Mental model: paths belong to one service each, so they are laid side by side. Component schemas may share
a name: those of the same shape become one; those that differ get their service's name in front, in every
service that has one, so that the result does not depend on any order. A schema that refers to one
that is renamed differs by that, so it is renamed as well.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from service_kit.api.openapi import operations, rename_schemas

from openapi_document.head import TAGS, head

Json = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
"""As a path's operations follow one another."""


class MergeError(Exception):
    """The documents do not fit together."""


def merge(documents: Mapping[str, Json]) -> Json:
    """One document out of those of several services, by service name such as `stats`. They are changed.

    Raises MergeError when two services have one path, operation id or component of different meaning, or an
    operation has a tag that the document does not describe.
    """
    differing = _differing(documents)
    for service, document in documents.items():
        own = {name: f"{service.capitalize()}{name}" for name in differing & set(_schemas(document))}
        rename_schemas(document, own)
    merged = head(next(iter(documents.values()))["openapi"])
    paths = _united([document["paths"] for document in documents.values()], same=False)
    merged["paths"] = {path: _in_order(methods) for path, methods in paths.items()}
    kinds = {kind for document in documents.values() for kind in document["components"]}
    merged["components"] = {
        kind: _united([document["components"].get(kind, {}) for document in documents.values()], same=True)
        for kind in sorted(kinds)
    }
    _check_operations(merged)
    return merged


def _schemas(document: Json) -> Json:
    found: Json = document["components"]["schemas"]
    return found


def _differing(documents: Mapping[str, Json]) -> set[str]:
    """The names that stand for different schemas in different documents."""
    shapes: dict[str, list[str]] = {}
    for document in documents.values():
        for name, schema in _schemas(document).items():
            shapes.setdefault(name, []).append(json.dumps(schema, sort_keys=True))
    differing: set[str] = set()
    while True:
        found = {
            name
            for name, texts in shapes.items()
            if len(texts) > 1 and (len(set(texts)) > 1 or _referred(texts[0]) & differing)
        }
        if found == differing:
            return differing
        differing = found


def _referred(schema: str) -> set[str]:
    return set(re.findall(r'"#/components/schemas/(\w+)"', schema))


def _united(parts: list[Json], *, same: bool) -> Json:
    """All entries, sorted by name; one that is there twice must be `same`, or is refused."""
    united: Json = {}
    for part in parts:
        for name, value in part.items():
            if name in united and not (same and united[name] == value):
                raise MergeError(f"{name} is in two services")
            united[name] = value
    return dict(sorted(united.items()))


def _in_order(methods: Json) -> Json:
    return dict(sorted(methods.items(), key=lambda item: METHODS.index(item[0])))


def _check_operations(document: Json) -> None:
    seen: set[str] = set()
    for operation in operations(document):
        name = operation["operationId"]
        if name in seen:
            raise MergeError(f"two operations are called {name}")
        if unknown := set(operation.get("tags", [])) - set(TAGS):
            raise MergeError(f"{name}: no description of the tag {', '.join(sorted(unknown))}")
        seen.add(name)
