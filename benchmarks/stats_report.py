"""The stats bench's figures as tables, and what they were to be."""

from pathlib import Path
from typing import Any

from report import table_lines, write_files
from stats_reads import FEW

FRESH_SECONDS, ANSWER_MS, OUTCOMES, FLAT = 2.0, 25.0, 300_000, 1.1
LARGEST, MANY = 500, 16
AIMED = ("the same question", "the same, being counted", f"one of {FEW} questions")
"""As dashboards ask. A question that nobody asked before costs what reading its history costs."""


def write(found: dict[str, Any]) -> Path:
    """Write what has been found so far; the table's path."""
    return write_files("stats", found, _text)


def aims(whole: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """(what, aim, measured, met) of what has been measured."""
    rows = []
    for row in whole["folding"]:
        if row["outcomes"] == LARGEST:
            speed = row["perSecond"]
            rows.append(("outcomes/s at 500 an event", f"≥ {OUTCOMES:,}", f"{speed:,.0f}", speed >= OUTCOMES))
    if whole["folding"]:
        right = all(row["right"] for row in whole["folding"])
        rows.append(("every campaign's numbers right", "yes", "yes" if right else "no", right))
    if memory := whole.get("memory"):
        growth = memory["growth"]
        rows.append(("memory over that at 1,000 campaigns", f"≤ {FLAT}", f"{growth:.2f}", growth <= FLAT))
    if fresh := whole.get("freshness"):
        p95 = fresh["p95"]
        rows.append((f"freshness p95, s, at {fresh['perSecond']:,} outcomes/s", f"≤ {FRESH_SECONDS:.0f}",
                     f"{p95:.2f}", p95 <= FRESH_SECONDS))  # fmt: skip
    for row in whole.get("answers", ()):
        if row["clients"] == MANY and row["what"] in AIMED:
            met = row["p95"] <= ANSWER_MS
            rows.append((f"GET, {row['what']}, p95, ms", f"≤ {ANSWER_MS:.0f}", str(row["p95"]), met))
    return rows


def _text(whole: dict[str, Any]) -> str:
    parts = [
        ["# Statistics, from the event to the answer"],
        [f"Measured {whole['measuredAt']} on {whole['cores']} cores, Python {whole['python']}: services, "
         "database, Kafka and the bench share them."],
        [f"- {fact}: {value}" for fact, value in whole["facts"].items()],
        _aims(whole), _folding(whole), _memory(whole), _freshness(whole), _answers(whole),
    ]  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _aims(whole: dict[str, Any]) -> list[str]:
    rows = [(*row[:3], "yes" if row[3] else "no") for row in aims(whole)]
    return ["## Aims", "", *table_lines(("what", "aim", "measured", "met"), rows)] if rows else []


def _folding(whole: dict[str, Any]) -> list[str]:
    rows = [
        (f"{row['outcomes']} an event", f"{row['events']:,}", f"{row['bytes']:,.0f}",
         f"{row['perSecond']:,.0f}", f"{row['bare']:,.0f}", f"{row['perSecond'] / row['bare']:.1%}",
         *(f"{row['cpu'][name]:.1f}" for name in ("stats-aggregator", "mongo", "bare")),
         "yes" if row["right"] else "**no**")
        for row in whole["folding"]
    ]  # fmt: skip
    head = (
        "outcomes", "events", "bytes each", "outcomes/s", "ceiling", "of it",
        "CPU-s a million, aggregator", "database", "ceiling", "numbers right",
    )  # fmt: skip
    return [
        "## Folding, one aggregator",
        "",
        "The events wait in the log when the aggregator starts; the pace is that from its first commit to "
        "its last. Ceiling: aiokafka's getmany, msgspec and counting in dicts in a process of its own, which "
        "stores nothing.",
        "",
        *table_lines(head, rows),
    ] if rows else []  # fmt: skip


def _memory(whole: dict[str, Any]) -> list[str]:
    if not (memory := whole.get("memory")):
        return []
    rows = [(row["what"], f"{row['events']:,}", row["megabytes"]) for row in memory["rows"]]
    return ["## Memory of the aggregator", "", *table_lines(("after", "events", "resident, MB"), rows)]


def _freshness(whole: dict[str, Any]) -> list[str]:
    if not (fresh := whole.get("freshness")):
        return []
    row = (f"{fresh['perSecond']:,}", fresh["windows"], fresh["p50"], fresh["p95"], fresh["most"])
    return [
        "## Freshness",
        "",
        "From the moment that a worker has the outcomes of a window (the transaction that puts them into the "
        "outbox begins) to the first answer of GET /statistics that has them; each of "
        f"{fresh['campaigns']} campaigns is asked every {fresh['poll'] * 1000:.0f} ms.",
        "",
        *table_lines(("outcomes/s", "windows", "p50, s", "p95, s", "most, s"), [row]),
    ]


def _answers(whole: dict[str, Any]) -> list[str]:
    rows = [
        (row["what"], row["clients"], f"{row['per_second']:,.0f}", row["p50"], row["p95"], row["p99"])
        for row in whole.get("answers", ())
    ]
    head = ("GET /campaigns/:id/statistics", "clients", "calls/s", "p50, ms", "p95, ms", "p99, ms")
    return ["## Answers for 90 days of history", "", *table_lines(head, rows)] if rows else []
