"""What the demo prints."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.compare import Row


def progress_table(progress: Mapping[str, Any]) -> Table:
    """The execution's end state."""
    table = Table(title="Progress", title_justify="left")
    for column in ("status", "total", "successful", "failed", "skipped", "unknown"):
        table.add_column(column, justify="left" if column == "status" else "right")
    numbers = progress["progress"]
    table.add_row(
        progress["status"],
        *(f"{numbers[name]:,}" for name in ("total", "successful", "failed", "skipped", "unknown")),
    )
    return table


def errors_table(progress: Mapping[str, Any]) -> Table:
    """Why some were not reached."""
    table = Table(title="Not reached, and why", title_justify="left")
    table.add_column("code")
    table.add_column("count", justify="right")
    table.add_column("meaning")
    for error in progress["errors"]:
        table.add_row(error["code"], f"{error['count']:,}", error["message"])
    return table


def statistics_table(statistics: Mapping[str, Any]) -> Table:
    """The numbers that the customer sees."""
    table = Table(title="Statistics", title_justify="left")
    table.add_column("number")
    table.add_column("value", justify="right")
    for name in ("messagesSent", "delivered"):
        table.add_row(name, f"{statistics['overview'][name]:,}")
    table.add_row("deliveryRate", f"{statistics['performance']['deliveryRate']} %")
    return table


def deliveries_table(deliveries: Iterable[Mapping[str, Any]], verified: int, refused: int) -> Table:
    """What the subscriber got."""
    table = Table(
        title=f"Webhook deliveries ({verified} signatures verified, {refused} refused)", title_justify="left"
    )
    for column in ("event", "status", "attempts", "answer"):
        table.add_column(column)
    for row in deliveries:
        attempts = row["attempts"]
        last = attempts[-1] if attempts else {}
        table.add_row(row["event"], row["status"], str(len(attempts)), str(last.get("statusCode", "")))
    return table


def comparison_table(rows: Iterable[Row]) -> Table:
    """The three books side by side."""
    table = Table(title="Telegram's ledger = our ledger = statistics", title_justify="left")
    table.add_column("number")
    for column in ("simulator", "ledger", "statistics/progress"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        values = (
            "–" if value is None else f"{value:,}" for value in (row.simulator, row.ledger, row.statistics)
        )
        table.add_row(row.name, *values, "[green]equal[/]" if row.agrees else "[bold red]DIFFERENT[/]")
    return table


def differences(console: Console, rows: Iterable[Row]) -> int:
    """Print each difference with its numbers; how many there are."""
    wrong = [row for row in rows if not row.agrees]
    for row in wrong:
        console.print(
            f"[bold red]difference[/] {row.name}: simulator {row.simulator}, ledger {row.ledger}, "
            f"statistics {row.statistics}"
        )
    return len(wrong)
