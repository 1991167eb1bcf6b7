"""JSON Merge Patch (RFC 7396): what PUT does.

The patch is laid over the JSON of what is stored, and the whole is checked as if it were new: so every
rule holds for what would be stored, not only for what was sent.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, GetJsonSchemaHandler, RootModel, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

BodyT = TypeVar("BodyT", bound=BaseModel)


class MergePatch(RootModel[dict[str, Any]]):
    """A part of a body: fields left out stay, null empties, arrays are replaced whole."""

    def over(self, stored: Mapping[str, Any], model: type[BodyT]) -> BodyT:
        """The patch over `stored`, checked as `model`. Raises RequestValidationError."""
        unknown = [
            {"type": "extra_forbidden", "loc": ("body", *path), "msg": "unknown field"}
            for path in _emptied_unknowns(self.root, model)
        ]
        if unknown:
            raise RequestValidationError(unknown)
        try:
            return model.model_validate(merge(stored, self.root))
        except ValidationError as error:
            problems = [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
            raise RequestValidationError(problems) from error


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, to the letter."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def _emptied_unknowns(patch: Mapping[str, Any], model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Where `patch` empties what `model` does not have: the merge would swallow such a slip in silence."""
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in patch.items():
        if key not in known:
            if value is None and model.model_config.get("extra") == "forbid":
                yield (key,)
        elif isinstance(value, dict):
            for nested in _models_in(known[key].annotation):
                yield from ((key, *path) for path in _emptied_unknowns(value, nested))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The model of an object field, such as `GoalsIn | None`."""
    options = (annotation, *get_args(annotation))
    return [item for item in options if isinstance(item, type) and issubclass(item, BaseModel)]


def patch_schema(
    model: type[BaseModel], *, null: str = "empties"
) -> Callable[[type[Any], CoreSchema, GetJsonSchemaHandler], JsonSchemaValue]:
    """The JSON Schema of patches to `model`: its fields, none of them required; objects merge, too.

    `null`: what null does to a field, in words.
    """

    def schema(_cls: type[Any], _core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        whole = dict(handler.resolve_ref_schema(handler(model.__pydantic_core_schema__)))
        kept = whole.pop("required", ())
        whole["properties"] = {
            name: _patched(field, nullable=name not in kept, resolve=handler.resolve_ref_schema)
            for name, field in whole["properties"].items()
        }
        return whole | {
            "description": f"Merge Patch (RFC 7396): left out stays, null {null}, arrays are replaced."
        }

    return schema


def _patched(
    field: JsonSchemaValue, *, nullable: bool, resolve: Callable[[JsonSchemaValue], JsonSchemaValue]
) -> JsonSchemaValue:
    """A field in a patch: no default, null where it may be emptied, and an object in it is patched too."""
    field = {key: value for key, value in field.items() if key != "default"}
    if field.get("readOnly"):
        return field
    parts: list[JsonSchemaValue] = field.pop("anyOf", None) or [field]
    beside = {} if parts[0] is field else field
    patched = [_without_required(resolve(part)) if "$ref" in part else part for part in parts]
    if nullable and {"type": "null"} not in patched:
        patched.append({"type": "null"})
    return patched[0] | beside if len(patched) == 1 else {"anyOf": patched} | beside


def _without_required(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {key: value for key, value in schema.items() if key != "required"}
