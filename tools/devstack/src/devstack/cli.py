"""The commands behind `make up`, `make down` and their neighbours."""

import os
import signal
import subprocess
import sys
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from devstack import native, secrets, table
from devstack.components import toxiproxy
from devstack.errors import StackError
from devstack.settings import StackSettings
from devstack.stack import ProgramStatus, Stack

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Runs the whole system on one machine.")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)
Only = Annotated[str, typer.Option(envvar="ONLY", help="Program names, separated by commas; all when empty.")]


def main() -> None:
    """Run one command; every foreseen failure is one line on stderr and exit code 1."""
    # Ending `up` leaves nothing half started, whichever signal ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except StackError as error:
        sys.exit(error.line())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]).upper()
        message = f"{place}: {first['msg']}" if place else first["msg"]
        sys.exit(StackError(message, mend="correct the environment variable").line())


def _stack(only: str = "") -> Stack:
    names = [name.strip() for name in only.split(",") if name.strip()]
    settings = StackSettings()
    unknown = set(names) - set(table.names(settings))
    if unknown:
        raise StackError(
            f"there is no {', '.join(sorted(unknown))} here",
            mend=f"one of {', '.join(table.names(settings))}",
        )
    return Stack(settings, only=names or None)


@app.command()
def up(only: Only = "") -> None:
    """Start everything and return when all is healthy; harmless when it is."""
    stack = _stack(only)
    with err.status("starting") as spinner:
        stack.up(lambda step: spinner.update(step) if err.is_terminal else err.print(step))
    rows = stack.status()
    out.print(_as_table(rows))
    started = {row.name for row in rows}
    if "gateway" in started:
        out.print(f"gateway    {stack.settings.gateway_url}/api/v1")
    if "telegram-simulator" in started:
        out.print(f"simulator  {table.telegram_url(stack.settings)}/ledger")
    out.print(f"logs       {stack.settings.log_dir}")
    out.print(
        "next       make token ORG=acme ROLE=admin, make status, make logs SERVICE=campaign-api, make down"
    )


@app.command()
def down() -> None:
    """Stop everything that `up` started, and nothing else."""
    stopped = _stack().down()
    out.print(f"stopped {len(stopped)} processes" if stopped else "nothing was running")


@app.command()
def status(
    only: Only = "",
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 unless all are healthy.")] = False,
) -> None:
    """Show every program, its port and its health."""
    rows = _stack(only).as_started().status()
    out.print(_as_table(rows))
    if check and any(row.problem for row in rows):
        raise typer.Exit(1)


@app.command()
def reset(force: Annotated[bool, typer.Option(envvar="FORCE", help="Do not ask.")] = False) -> None:
    """Stop everything and wipe data and logs; secrets and downloads stay."""
    stack = _stack()
    if not force and not typer.confirm(f"Wipe all data in {stack.settings.data_dir}?", err=True):
        raise StackError("nothing was wiped", mend="FORCE=1 does not ask")
    stack.reset()
    out.print(f"wiped {stack.settings.data_dir} and {stack.settings.log_dir}")


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="A program, or several with commas; all when empty.")] = "",
    lines: Annotated[int, typer.Option(envvar="LINES")] = 50,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", envvar="FOLLOW")] = True,
) -> None:
    """Show the last lines of a program's log, and follow it."""
    stack = _stack(service)
    paths = [stack.settings.log_of(name) for name in stack.programs()]
    found = [str(path) for path in paths if path.exists()]
    if not found:
        raise StackError(f"there is no log in {stack.settings.log_dir}", mend="make up")
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), *found])  # noqa: S606 - becoming tail is the point


@app.command()
def token(
    org: Annotated[str, typer.Option(envvar="ORG")] = "acme",
    role: Annotated[str, typer.Option(envvar="ROLE")] = "admin",
) -> None:
    """Print a JWT for an organisation and a role, valid for 12 hours, and nothing else."""
    print(secrets.token(table.environment(StackSettings()), org=org, role=role))


@app.command()
def replay(service: Annotated[str, typer.Argument(help="campaign-service, for example.")]) -> None:
    """Put a service's dead-lettered events back into their topics."""
    _run_module("service_kit.kafka.replay", service)


@app.command(name="stats-rebuild")
def stats_rebuild(campaign: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """Count a campaign's statistics again from the log."""
    _run_module("stats_service", "rebuild", campaign)


@app.command(name="stats-reconcile")
def stats_reconcile() -> None:
    """Compare all statistics with a recount of the log."""
    _run_module("stats_service", "reconcile")


def _run_module(*arguments: str) -> NoReturn:
    """Run a Python module with the environment that the stack's services have; end as it ends."""
    environment = {**os.environ, **_stack().as_started().environment()}
    command = [sys.executable, "-m", *arguments]
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)


@app.command(name="native-mongo")
def native_mongo() -> None:
    """Build the fast MongoDB-compatible server (Rust, some minutes) into the cache."""
    out.print(f"installed {native.install(StackSettings().campaigns_cache)}")


@app.command(name="toxiproxy")
def install_toxiproxy() -> None:
    """Build the proxy that chaos tests part the services with (Go, half a minute) into the cache."""
    out.print(f"installed {toxiproxy.install(StackSettings().campaigns_cache)}")


def _as_table(rows: list[ProgramStatus]) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("program", "state", "pid", "port", "health"):
        view.add_column(column, justify="right" if column in ("pid", "port") else "left")
    for row in rows:
        health = f"[red]{row.problem}[/red]" if row.problem else "[green]healthy[/green]"
        view.add_row(row.name, row.state.lower(), str(row.pid or "–"), str(row.port), health)
    return view
