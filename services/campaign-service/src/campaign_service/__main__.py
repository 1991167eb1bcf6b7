"""`python -m campaign_service api|relay|consumer`: one command per process."""

# ruff: noqa: PLC0415 - a process imports its own parts alone
from service_kit.commands import run_command
from service_kit.settings import ServiceSettings, load_settings


def api() -> None:
    """Serve the HTTP API."""
    from campaign_service.bootstrap_api import run_api

    run_api()


def relay() -> None:
    """Publish the outbox to Kafka."""
    from service_kit.relay_process import run_relay

    run_relay(load_settings(ServiceSettings), service="campaign-service", process="campaign-relay")


def consumer() -> None:
    """Handle events from Kafka."""
    from campaign_service.bootstrap_consumer import run_consumer

    run_consumer()


if __name__ == "__main__":
    run_command([api, relay, consumer], program="campaign_service")
