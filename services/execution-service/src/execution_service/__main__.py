"""`python -m execution_service api|relay|planner|worker`: one command per process."""

import typer
from service_kit.settings import load_settings

from execution_service.bootstrap import run_api, run_relay
from execution_service.bootstrap_engine import run_planner
from execution_service.bootstrap_worker import run_worker
from execution_service.entrypoints.api.app import build_app
from execution_service.entrypoints.subscriptions import subscriptions
from execution_service.settings import Settings
from execution_service.settings_engine import EngineSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def api() -> None:
    """Serve the HTTP API."""
    run_api(load_settings(Settings), build_app)


@app.command()
def relay() -> None:
    """Publish the outbox to Kafka."""
    run_relay(load_settings(Settings))


@app.command()
def planner() -> None:
    """Take campaign events, plan executions, keep audiences counted."""
    run_planner(load_settings(EngineSettings), subscriptions)


@app.command()
def worker() -> None:
    """Send."""
    run_worker(load_settings(EngineSettings))


if __name__ == "__main__":
    app()
