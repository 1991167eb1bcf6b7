"""`python -m webhook_service api|relay|consumer|deliverer`: one command per process."""

# ruff: noqa: PLC0415 - a process imports its own parts alone
from service_kit.commands import run_command
from service_kit.settings import ServiceSettings, load_settings


def api() -> None:
    """Serve /webhooks."""
    from webhook_service.bootstrap_api import run_api

    run_api()


def relay() -> None:
    """Publish the outbox to Kafka."""
    from service_kit.relay_process import run_relay

    run_relay(load_settings(ServiceSettings), service="webhook-service", process="webhook-relay")


def consumer() -> None:
    """Turn campaign events into deliveries."""
    from webhook_service.bootstrap_consumer import run_consumer

    run_consumer()


def deliverer() -> None:
    """Send deliveries that are due."""
    from webhook_service.bootstrap_deliverer import run_deliverer

    run_deliverer()


if __name__ == "__main__":
    run_command([api, relay, consumer, deliverer], program="webhook_service")
