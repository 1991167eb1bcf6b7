"""The execution bench's figures as tables, with their ratios to the ceilings of the same run."""

from pathlib import Path
from typing import Any

from execution_aims import aims, ratios, worker_memory
from report import table_lines, write_files

CPU_OF_INTEREST = 0.02
"""Processes below this share of a run's CPU are summed up as `others`."""
BYTES_OF_INTEREST = 0.5


def write(found: dict[str, Any]) -> Path:
    """Write what has been found so far; the table's path."""
    return write_files("execution", found, _text)


def _text(whole: dict[str, Any]) -> str:
    parts = [
        ["# Executions, from the request to the last message"],
        [f"Measured {whole['measuredAt']} on {whole['cores']} cores, Python {whole['python']}: services, "
         "database, Kafka and the sink share them."],
        [f"- {fact}: {value}" for fact, value in whole["facts"].items()],
        aims(whole), _runs(whole), _ceilings(whole), _memory(whole), _cpu(whole), _imports(whole),
        _planning(whole), _reads(whole), _bytes(whole),
    ]  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _runs(whole: dict[str, Any]) -> list[str]:
    rows = []
    for run in whole["runs"]:
        own, fastest = ratios(whole, run)
        at, size, sink = run["seconds"], run["recipients"], run["sink"]
        rows.append((
            f"{size:,}", run["workers"], f"{run['perSecond']:,.0f}", f"{own:.0%}", f"{fastest:.0%}",
            at["first send"], at["planned"], at["completed"], at.get("statistics right", "never"),
            size - sink["unique"], sink["doubled"], "yes" if run["correct"] else "**no**",
        ))  # fmt: skip
    head = (
        "recipients", "workers", "recipients/s", "of the own client's loop", "of the fastest client's loop",
        "first send, s", "planned, s", "completed, s", "statistics right, s", "lost", "twice", "counts agree",
    )  # fmt: skip
    return [
        "## The whole path",
        "",
        "Seconds since the request to execute. Recipients/s: from the first to the last arrival at the sink.",
        "",
        *table_lines(head, rows),
    ]


def _ceilings(whole: dict[str, Any]) -> list[str]:
    rows = [
        (row["client"], row["processes"], row["inFlight"], f"{row['perSecond']:,.0f}",
         f"{row['cpuPerMillion']:.0f}", f"{row['sinkBusy']:.0%}")
        for row in whole.get("ceilings", ())
    ]  # fmt: skip
    head = ("client", "processes", "in flight each", "messages/s", "CPU-s a million", "sink busy")
    return [
        "## Ceiling: the HTTP client in a bare loop, same bodies, same sink",
        "",
        "`adapter` is the worker's own client. The ratios above are to the better row of so many processes.",
        "",
        *table_lines(head, rows),
    ]


def _memory(whole: dict[str, Any]) -> list[str]:
    rows = []
    for run in whole["runs"]:
        for name, seen in run["processes"].items():
            if name.startswith("execution-"):
                rows.append(
                    (f"{run['recipients']:,} × {run['workers']}", name, *seen["megabytes"], seen["most"])
                )
    head = ("recipients × workers", "process", "beginning", "¼", "½", "¾", "end", "most")
    return ["## Resident memory over each run, MB", "", *_flat(whole), *table_lines(head, rows)]


def _flat(whole: dict[str, Any]) -> list[str]:
    """The worker's memory at the largest size over that at the smallest."""
    most = worker_memory(whole)
    if len(most) < 2:
        return []
    small, large = min(most), max(most)
    return [
        f"A worker at {large:,} recipients holds {most[large] / most[small]:.2f} times what it holds at "
        f"{small:,}: {most[large]:.0f} and {most[small]:.0f} MB at most.",
        "",
    ]


def _cpu(whole: dict[str, Any]) -> list[str]:
    columns = [{name: seen["cpuSeconds"] for name, seen in run["processes"].items()} for run in whole["runs"]]
    total = sum(sum(column.values()) for column in columns) or 1
    names = list(dict.fromkeys(name for column in columns for name in column))
    heavy = [
        name for name in names if sum(column.get(name, 0) for column in columns) > CPU_OF_INTEREST * total
    ]
    sizes = [run["recipients"] for run in whole["runs"]]
    rows = [
        (
            name,
            *(f"{column.get(name, 0) / size * 1e6:.0f}" for column, size in zip(columns, sizes, strict=True)),
        )
        for name in heavy
    ]
    others = [sum(value for name, value in column.items() if name not in heavy) for column in columns]
    for what, sums in (("others", others), ("all", [sum(column.values()) for column in columns])):
        rows.append((what, *(f"{value / size * 1e6:.0f}" for value, size in zip(sums, sizes, strict=True))))
    head = ("process", *(f"{run['recipients']:,} × {run['workers']}" for run in whole["runs"]))
    return ["## CPU seconds per million recipients", "", *table_lines(head, rows)]


def _imports(whole: dict[str, Any]) -> list[str]:
    bare = next((row["perSecond"] for row in whole["imports"] if row["what"] == "bare driver"), 0)
    rows = [
        (row["what"], f"{row['contacts']:,}", f"{row['perSecond']:,}",
         f"{row['perSecond'] / bare:.0%}" if bare and "memory" in row else "",
         " → ".join(map(str, row.get("memory", ()))))
        for row in whole["imports"]
    ]  # fmt: skip
    head = ("what", "contacts", "contacts/s", "of the bare driver", "API's memory over time, MB")
    return ["## Import over HTTP", "", *table_lines(head, rows)]


def _planning(whole: dict[str, Any]) -> list[str]:
    rows = [
        (f"{row['recipients']:,}", row["seconds"], f"{row['recipients'] / row['seconds']:,.0f}",
         row["processes"]["execution-planner"]["most"])
        for row in whole["planning"]
    ]  # fmt: skip
    head = ("recipients", "seconds", "recipients/s", "planner's memory at most, MB")
    return ["## Planning while nobody sends", "", *table_lines(head, rows)]


def _reads(whole: dict[str, Any]) -> list[str]:
    rows = []
    for read in whole["reads"]:
        pages = read["pages"]
        if not pages.get("complete"):
            pages = {"latency": {"recipients": pages}} if "note" in pages else pages
            rows.append(("**not all recipients were read**", f"{pages.get('contacts', 0):,}", "", "", ""))
        named = {
            **pages["latency"],
            "GET audience": read["audience"],
            "a new contact is in totalCount": read["freshness"],
        }
        for what, seen in named.items():
            figures = (seen["p50"], seen["p95"], seen["most"]) if "p50" in seen else (seen["note"], "", "")
            rows.append((what, f"{read['recipients']:,}", *figures))
    head = ("what", "recipients", "p50, ms", "p95, ms", "most, ms")
    return ["## Reading afterwards", "", *table_lines(head, rows)]


def _bytes(whole: dict[str, Any]) -> list[str]:
    sizes = list(dict.fromkeys(run["recipients"] for run in whole["runs"]))
    columns = [next(run["bytes"] for run in whole["runs"] if run["recipients"] == size) for size in sizes]
    names = [
        name
        for name in dict.fromkeys(name for column in columns for name in column)
        if any(column.get(name, 0) >= BYTES_OF_INTEREST for column in columns)
    ]
    rows = [(name, *(f"{column.get(name, 0):.1f}" for column in columns)) for name in names]
    rows.append(("all", *(f"{sum(column.get(name, 0) for name in names):.1f}" for column in columns)))
    head = ("collection", *(f"{size:,} recipients" for size in sizes))
    return [
        "## Bytes of BSON stored per recipient",
        "",
        "What the first run of a size added to execution-service's database. Of collections of more than 500 "
        "documents a sample is weighed.",
        "",
        *table_lines(head, rows),
    ]
