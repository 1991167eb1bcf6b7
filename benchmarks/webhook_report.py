"""The figures of the webhooks' bench, for programs and for people."""

from pathlib import Path
from typing import Any

from report import table_lines, write_files

AIMS = {"steady p95, ms": 50, "deliveries a second": 2_500}
PEER = (
    "Hookdeck Outpost, tuned, on two such cores, measured earlier and elsewhere: 2,000-2,200 deliveries a "
    "second to one destination, event to arrival p50 29-34 ms and p95 52-54 ms at 100 a second."
)
LATENCIES = ("p50", "p95", "p99", "most")


def write(found: dict[str, Any]) -> Path:
    """Write `results/webhooks.json` and `.md`; the latter's path."""
    return write_files("webhooks", found, _text)


def _text(whole: dict[str, Any]) -> str:
    lines = [
        "# Webhooks, from the event in Kafka to the subscriber",
        "",
        f"Measured {whole['measuredAt']} on {whole['cores']} cores, Python {whole['python']}. Latencies in "
        "milliseconds, from Kafka's producer to the sink. One consumer and one deliverer; the database, "
        "Kafka, Redis and the sink are on the same cores.",
        "",
        *(f"- {fact}: {value}" for fact, value in whole["facts"].items()),
        *(f"- aim: {aim}: {value:,}" for aim, value in AIMS.items()),
        f"- {PEER}",
        "",
        "## 100 deliveries a second",
        "",
        *table_lines(
            ["endpoints", "events", *LATENCIES],
            [
                [row["endpoints"], row["events"], *(row[name] for name in LATENCIES)]
                for row in whole["steady"]
            ],
        ),
        "",
        "## At full rate",
        "",
        "Per second: between the first arrival and the last. Whole path: from the first event published. "
        "CPU: of all processes but the bench, for a million deliveries.",
        "",
        *table_lines(
            ["endpoints", "deliveries", "per second", "whole path", "CPU-s a million", *LATENCIES],
            [
                [
                    row["endpoints"],
                    f"{row['deliveries']:,}",
                    f"{row['perSecond']:,}",
                    f"{row['wholePath']:,}",
                    row["cpuPerMillion"],
                    *(row[name] for name in LATENCIES),
                ]
                for row in whole["full"]
            ],
        ),
        "",
        "## The client alone, in one process",
        "",
        "`client` posts bytes that were made before, `sender` makes and signs each message.",
        "",
        *table_lines(
            ["what", "per second", "CPU-s a million"],
            [[row["what"], f"{row['perSecond']:,}", row["cpuPerMillion"]] for row in whole["ceilings"]],
        ),
        "",
        "## Memory at full rate, MB",
        "",
        *_memory(whole["full"]),
    ]
    return "\n".join(lines) + "\n"


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    names = [name for name in (rows[0]["processes"] if rows else {}) if name not in ("bench", "sink")]
    body = [
        [f"{row['endpoints']} endpoints", *(row["processes"].get(name, {}).get("most", "") for name in names)]
        for row in rows
    ]
    return table_lines(["most", *names], body)
