"""`python -m telegram_simulator`: reads the settings and serves."""

import os
from typing import Annotated

import typer
import uvloop

from telegram_simulator.config import Config, ConfigError, field_names, from_environment, from_text
from telegram_simulator.server import PortTaken, check_port, serve

_SET_HELP = (
    "NAME=VALUE, may be repeated; lists are separated by commas. Each has an environment variable, "
    f"TELEGRAM_SIMULATOR_<NAME>. Names: {', '.join(field_names())}."
)

app = typer.Typer(add_completion=False)


@app.command()
def run(
    host: Annotated[
        str, typer.Option(envvar="TELEGRAM_SIMULATOR_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="TELEGRAM_SIMULATOR_PORT", min=1, max=65535, help="Port to listen on.")
    ] = 13081,
    seed: Annotated[int | None, typer.Option(help="Decides which chats and requests meet faults.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help=_SET_HELP)] = None,
) -> None:
    """Answers the Telegram Bot API with limits, faults and a ledger. For development only."""
    given = from_environment(os.environ)
    if seed is not None:
        given["seed"] = str(seed)
    for setting in settings or []:
        name, _, value = setting.partition("=")
        given[name.strip()] = value
    try:
        config = from_text(given, Config())
        check_port(host, port)
        typer.echo(f"Telegram simulator: http://{host}:{port} (seed {config.seed})")
        uvloop.run(serve(config, host, port))
    except (ConfigError, PortTaken) as problem:
        typer.echo(f"telegram_simulator: {problem}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
