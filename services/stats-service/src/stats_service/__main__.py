"""`python -m stats_service api|relay|aggregator`, a process each; `rebuild <campaign>`, `reconcile`: jobs."""

# ruff: noqa: PLC0415 - a process imports its own parts alone
from service_kit.commands import run_command


def api() -> None:
    """Serve the statistics routes."""
    from stats_service.bootstrap_api import run_api

    run_api()


def relay() -> None:
    """Publish the outbox to Kafka."""
    from service_kit.relay_process import run_relay
    from service_kit.settings import ServiceSettings, load_settings

    run_relay(load_settings(ServiceSettings), service="stats-service", process="stats-relay")


def aggregator() -> None:
    """Fold events into numbers, and announce them."""
    from stats_service.bootstrap_aggregator import run_aggregator

    run_aggregator()


def rebuild(campaign: str) -> None:
    """Count a campaign again from the log."""
    from stats_service.bootstrap_jobs import run_rebuild

    run_rebuild(campaign)


def reconcile() -> None:
    """Compare all numbers with a recount of the log."""
    from stats_service.bootstrap_jobs import run_reconcile

    run_reconcile()


if __name__ == "__main__":
    run_command([api, relay, aggregator, rebuild, reconcile], program="stats_service")
