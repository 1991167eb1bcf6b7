"""This service's settings; `service_kit.settings` has those that all services share."""

from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode
from service_kit.crypto import SecretBox
from service_kit.settings import ServiceSettings

DEFAULT_SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


class Settings(ServiceSettings):
    """Read once, in `__main__`."""

    encryption_keys: SecretStr
    redis_url: SecretStr
    """An accelerator: without it what is new is found later, and rates are kept by each process alone."""
    redis_timeout_seconds: float = Field(default=0.25, gt=0)
    webhook_allow_private_networks: bool = False
    """Development: allow http, loopback and private addresses."""
    webhook_retry_schedule_seconds: Annotated[tuple[float, ...], NoDecode] = DEFAULT_SCHEDULE
    """Waits between attempts; the first is made at once, so there is one attempt more than waits."""
    webhook_timeout_seconds: float = Field(default=15, gt=0)
    """From the connection to the end of the answer."""
    webhook_lease_seconds: float = Field(default=45, gt=0)
    """How long a taken delivery belongs to its worker; well above the timeout."""
    webhook_workers: int = Field(default=1_024, ge=1)
    """Deliveries that one process has taken: those on their way, and what fast endpoints get next."""
    webhook_per_endpoint: int = Field(default=8, ge=1)
    """Requests at once to one endpoint, in one process."""
    webhook_poll_seconds: float = Field(default=0.25, gt=0)
    """How often a deliverer looks by itself; what is new it hears of at once while Redis is there."""
    webhook_ordered_patience_seconds: float = Field(default=3_600, ge=0)
    """How long, from its first attempt, a delivery holds up those behind it at an ordered endpoint."""
    webhook_breaker_failures: int = Field(default=5, ge=1)
    """So many in a row (no answer, 5xx, 429) pause an endpoint."""
    webhook_breaker_first_seconds: float = Field(default=5, gt=0)
    webhook_breaker_most_seconds: float = Field(default=600, gt=0)
    """Each pause that ends in vain is followed by one twice as long, up to this."""
    webhook_disable_after_days: float = Field(default=5, gt=0)
    """Without one success an endpoint that fails is switched off after so long."""
    webhook_drain_seconds: float = Field(default=6, ge=0)
    """How long requests under way may go on after SIGTERM."""
    webhook_resolve_seconds: float = Field(default=2, gt=0)
    """How long a name may take to resolve when an endpoint is created."""
    webhook_max_per_org: int = Field(default=1_000, ge=1, le=100_000)
    """Endpoints of one organisation: each of its events is written for all of them."""
    webhook_retention_days: int = Field(default=30, ge=7)
    """How long deliveries are kept once they have ended or were parked; what is pending is kept anyway."""

    @field_validator("webhook_retry_schedule_seconds", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        """`5,300,1800` from the environment."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("webhook_retry_schedule_seconds")
    @classmethod
    def _waits(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= wait <= 7 * 24 * 3600 for wait in value):
            raise ValueError("every wait must be between 0 and 604800 seconds")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _readable_keys(cls, value: SecretStr) -> SecretStr:
        SecretBox(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _lease_outlives_a_request(self) -> "Settings":
        """Or a second worker would send what the first is still sending."""
        if self.webhook_lease_seconds < self.webhook_timeout_seconds + 5:
            raise ValueError(
                "WEBHOOK_LEASE_SECONDS must exceed WEBHOOK_TIMEOUT_SECONDS by 5 s, the time to record"
            )
        return self
