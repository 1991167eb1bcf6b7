"""What issue and specification want of executions, beside what was measured at the largest size."""

from typing import Any

from ceilings import best
from report import table_lines


def ratios(whole: dict[str, Any], run: dict[str, Any]) -> tuple[float, float]:
    """A run's speed over that of as many bare loops: of the worker's own client, and of the fastest one."""
    processes, speed = min(run["workers"], 2), run["perSecond"]
    own = best(whole["ceilings"], processes, "adapter")
    return speed / own, speed / best(whole["ceilings"], processes)


def worker_memory(whole: dict[str, Any]) -> dict[int, float]:
    """The most MB that a worker held, by recipients."""
    most: dict[int, float] = {}
    for run in whole["runs"]:
        for name, seen in run["processes"].items():
            if name.startswith("execution-worker"):
                most[run["recipients"]] = max(most.get(run["recipients"], 0), seen["most"])
    return most


def aims(whole: dict[str, Any]) -> list[str]:
    """A table of aims; empty as long as nothing ran."""
    if not whole["runs"]:
        return []
    largest = max(run["recipients"] for run in whole["runs"])
    runs = [run for run in whole["runs"] if run["recipients"] == largest]
    fastest = max(runs, key=lambda run: float(run["perSecond"]))
    memory = worker_memory(whole)
    speed, ratio = fastest["perSecond"], ratios(whole, fastest)[1]
    growth = memory[largest] / memory[min(memory)]
    stored = sum(max(0.0, size) for size in runs[0]["bytes"].values())
    rows: list[tuple[str, str, str, bool]] = [
        ("recipients/s", "≥ 15,000", f"{speed:,.0f}", speed >= 15_000),
        ("of the fastest client's bare loop", "≥ 60 %", f"{ratio:.0%}", ratio >= 0.6),
        ("a worker's memory, MB", "< 200", f"{memory[largest]:.0f}", memory[largest] < 200),
        ("the same over that at the smallest size", "≤ 1.10", f"{growth:.2f}", growth <= 1.1),
        ("bytes stored per recipient", "≤ 120", f"{stored:.0f}", stored <= 120),
        ("lost or sent twice", "0", *_wrong(whole)),
    ]
    planned = [row for row in whole["planning"] if row["recipients"] >= largest]
    if planned:
        pace = planned[0]["recipients"] / planned[0]["seconds"]
        rows.append(("planned alone, recipients/s", "≥ 16,667", f"{pace:,.0f}", pace >= 1e6 / 60))
    return [
        f"## Aims, at {largest:,} recipients",
        "",
        *table_lines(
            ("what", "aim", "measured", "met"), [(*row[:3], "yes" if row[3] else "no") for row in rows]
        ),
    ]


def _wrong(whole: dict[str, Any]) -> tuple[str, bool]:
    lost = sum(run["recipients"] - run["sink"]["unique"] for run in whole["runs"])
    doubled = sum(run["sink"]["doubled"] for run in whole["runs"])
    return f"{lost} and {doubled}", lost == doubled == 0 and all(run["correct"] for run in whole["runs"])
