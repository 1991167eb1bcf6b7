"""JSON Merge Patch: what PUT does to a campaign."""

from typing import Any

from contracts.events.campaign import CampaignStatus
from pydantic import BaseModel, TypeAdapter
from pydantic.alias_generators import to_camel
from service_kit.api.merge_patch import MergePatch, patch_schema

from campaign_service.domain.definition import Definition
from campaign_service.entrypoints.api.campaign_requests import CampaignIn

_definitions = TypeAdapter(Definition)


class CampaignPatch(MergePatch):
    """What shall change of a campaign; `status` is the command of that name."""

    __get_pydantic_json_schema__ = classmethod(patch_schema(CampaignIn))

    def status(self) -> CampaignStatus | None:
        """The status that is asked for. Raises RequestValidationError."""
        return self.over({}, _StatusIn).status


class _StatusIn(BaseModel):
    """The status alone, whatever else is in a patch."""

    status: CampaignStatus | None = None


def definition_json(definition: Definition) -> dict[str, Any]:
    """The definition as a body that would make it."""
    values: dict[str, Any] = _camel(_definitions.dump_python(definition, mode="json", exclude_none=True))
    return values


def _camel(value: Any) -> Any:
    """Field names in camelCase (`from` of `from_`); the keys of filters are the client's and stay."""
    if isinstance(value, dict):
        return {
            to_camel(key.rstrip("_")): item if key == "filters" else _camel(item)
            for key, item in value.items()
        }
    return [_camel(item) for item in value] if isinstance(value, list) else value
