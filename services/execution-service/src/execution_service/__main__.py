"""`python -m execution_service api|relay|planner|worker`: one command per process."""

# ruff: noqa: PLC0415 - a process imports its own parts alone
from service_kit.commands import run_command
from service_kit.settings import ServiceSettings, load_settings


def api() -> None:
    """Serve the HTTP API."""
    from execution_service.bootstrap_api import run_api
    from execution_service.settings import Settings

    run_api(load_settings(Settings))


def relay() -> None:
    """Publish the outbox to Kafka."""
    from service_kit.relay_process import run_relay

    run_relay(load_settings(ServiceSettings), service="execution-service", process="execution-relay")


def planner() -> None:
    """Take campaign events, plan executions, keep audiences counted."""
    from execution_service.bootstrap_engine import run_planner
    from execution_service.entrypoints.subscriptions import subscriptions
    from execution_service.settings_engine import EngineSettings

    run_planner(load_settings(EngineSettings), subscriptions)


def worker() -> None:
    """Send."""
    from execution_service.bootstrap_worker import run_worker
    from execution_service.settings_engine import WorkerSettings

    run_worker(load_settings(WorkerSettings))


if __name__ == "__main__":
    run_command([api, relay, planner, worker], program="execution_service")
