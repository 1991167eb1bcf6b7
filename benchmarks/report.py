"""A run's figures as JSON for programs and as a table for people."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "results"


def write_report(
    name: str, *, title: str, results: dict[str, dict[str, list[dict[str, Any]]]], facts: dict[str, Any]
) -> Path:
    """Write `results` (operation → what was measured → a row per number of clients); the table's path."""
    return write_files(name, {"facts": facts, "results": results}, lambda whole: _table(title, whole))


def write_files(name: str, found: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> Path:
    """Write what was `found`, with when and where, as JSON, and the `text` of it as Markdown; its path."""
    HERE.mkdir(exist_ok=True)
    whole = {
        "measuredAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **found,
    }
    (HERE / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    table = HERE / f"{name}.md"
    table.write_text(text(whole), encoding="utf-8")
    return table


def table_lines(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table; the first column is text, the others are numbers."""
    return [
        f"| {' | '.join(head)} |",
        f"|---|{'--:|' * (len(head) - 1)}",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]


def _table(title: str, whole: dict[str, Any]) -> str:
    lines = [
        f"# {title}",
        "",
        f"Measured {whole['measuredAt']} on {whole['cores']} cores, Python {whole['python']}. Latencies in "
        "milliseconds. Ratio: the API's calls a second over the baseline's, in the same run.",
        "",
        *(f"- {fact}: {value}" for fact, value in whole["facts"].items()),
        "",
        "| operation | clients | what | calls/s | ratio | p50 | p95 | p99 | p99/p50 |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for operation, measured in whole["results"].items():
        for place, api in enumerate(measured["api"]):
            for what, rows in measured.items():
                row = rows[place]
                ratio = "" if what == "api" else f"{api['per_second'] / row['per_second']:.0%}"
                spread = row["p99"] / row["p50"] if row["p50"] else 0
                lines.append(
                    f"| {operation} | {row['clients']} | {what} | {row['per_second']:,.0f} | {ratio} "
                    f"| {row['p50']} | {row['p95']} | {row['p99']} | {spread:.1f} |"
                )
    return "\n".join(lines) + "\n"
