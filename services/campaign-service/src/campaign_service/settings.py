"""Settings of campaign-service's processes, beside those that every service has (`ServiceSettings`)."""

from pydantic import SecretStr
from service_kit.settings import ServiceSettings


class ApiSettings(ServiceSettings):
    """What only the API process needs: where execution-service is, and the token between the two."""

    execution_service_url: str
    internal_token: SecretStr
    preflight_timeout_seconds: float = 2


class ConsumerSettings(ServiceSettings):
    """What only the consumer process needs: how often it looks for schedules whose time has come."""

    schedule_poll_seconds: float = 0.5
