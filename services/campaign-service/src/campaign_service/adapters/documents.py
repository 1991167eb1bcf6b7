"""Campaigns and templates as MongoDB documents.

The definition's fields lie at the top of the document, so that each sort field has an index; names
are camelCase as everywhere outside Python. What lists and searches need beside them: `campaign_listing`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import lru_cache
from keyword import iskeyword
from typing import Any

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel, to_snake
from service_kit.mongo.client import Document

from campaign_service.adapters.campaign_listing import listed
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Definition
from campaign_service.domain.search import words
from campaign_service.domain.template import Template

NUMBERS = frozenset({"totalCount", "statistics"})
"""What other services report; a campaign that is saved never overwrites them."""

DUE_AT = "dueAt"
"""Only there while a schedule is armed, so that its sparse index holds nothing else."""


# Field names are few; pydantic's rules are regular expressions, and dear.
@lru_cache(maxsize=1024)
def _to_camel(name: str) -> str:
    """The name outside, for the field's: a word of Python's own (`from_`) has lost its underscore."""
    return to_camel(name.rstrip("_"))


@lru_cache(maxsize=1024)
def _to_snake(name: str) -> str:
    snake = to_snake(name)
    return f"{snake}_" if iskeyword(snake) else snake


_DEFINITION = frozenset(field.name for field in fields(Definition))
_CAMPAIGN = frozenset(field.name for field in fields(Campaign)) - {"definition"}
_campaigns = TypeAdapter(Campaign)
_templates = TypeAdapter(Template)


def campaign_document(campaign: Campaign) -> Document:
    """The whole document of a campaign."""
    values = asdict(campaign)
    definition = values.pop("definition")
    _seal_filters(definition["target_audience"], json.dumps)
    document: Document = _rename({**values, **definition}, _to_camel)
    document["_id"] = document.pop("id")
    if campaign.due_at is not None:
        document[DUE_AT] = campaign.due_at
    searched = words(f"{definition['name']} {definition['description'] or ''}")
    return document | listed(
        document, searched, org=campaign.org, status=campaign.status, type_=definition["type"]
    )


def campaign_of(document: Document) -> Campaign:
    """The campaign in `document`."""
    values = _rename({**document, "id": document["_id"]}, _to_snake)
    _seal_filters(values["target_audience"], json.loads)
    definition = {name: values[name] for name in _DEFINITION & values.keys()}
    rest = {name: values[name] for name in _CAMPAIGN & values.keys()}
    return _campaigns.validate_python({**rest, "definition": definition})


def _seal_filters(audience: dict[str, Any], convert: Callable[[Any], Any]) -> None:
    """Filters are kept as JSON text: their keys are the client's, and no names of ours."""
    if audience.get("filters") is not None:
        audience["filters"] = convert(audience["filters"])


def template_document(template: Template) -> Document:
    """The whole document of a template."""
    document: Document = _rename(asdict(template), _to_camel)
    document["_id"] = document.pop("id")
    return document


def template_of(document: Document) -> Template:
    """The template in `document`."""
    return _templates.validate_python(_rename({**document, "id": document["_id"]}, _to_snake))


def _rename(value: Any, rule: Callable[[str], str]) -> Any:
    """`value` with the keys of all objects in it renamed; every key is a field's name."""
    if isinstance(value, dict):
        return {rule(key): _rename(item, rule) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rename(item, rule) for item in value]
    return value
