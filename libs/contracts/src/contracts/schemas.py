"""JSON Schemas of every event, for readers in other languages: `python -m contracts.schemas <folder>`."""

import json
import sys
from pathlib import Path
from typing import Any

from contracts.catalogue import CATALOGUE
from contracts.envelope import Envelope


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON Schema (2020-12) of the whole event, envelope included."""
    answer: dict[str, dict[str, Any]] = {}
    for name, model in CATALOGUE.items():
        schema = Envelope[model].model_json_schema(by_alias=True)  # type: ignore[valid-type]  # made at run time
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        schema["title"] = name
        schema["properties"]["type"] = {"const": name}
        answer[f"{name}.v{model.version}.json"] = schema
    return answer


def render(schema: dict[str, Any]) -> str:
    """The text of a schema file: stable, so that a diff shows changes only."""
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write all schemas into the folder given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(render(schema), encoding="utf-8")


if __name__ == "__main__":
    main()
