"""`python -m stats_service api|relay|aggregator`."""

import typer

from stats_service import bootstrap

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def api() -> None:
    """Serve the statistics routes."""
    bootstrap.run_api()


@app.command()
def relay() -> None:
    """Publish the outbox to Kafka."""
    bootstrap.run_relay()


@app.command()
def aggregator() -> None:
    """Fold events into numbers, and announce them."""
    bootstrap.run_aggregator()


if __name__ == "__main__":
    app()
