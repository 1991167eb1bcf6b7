"""The service's settings, beside those that every service has."""

from datetime import time

from contracts.tracking import TrackingKeys
from pydantic import Field, SecretStr, field_validator
from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """See the README for what each is."""

    fold_batch: int = 5_000
    """Messages folded at once, at most."""
    source_waiting: int = 10_000
    """Messages that may wait between Faust and the fold."""
    catch_up_seconds: float = 5
    """How often positions are compared with the log."""
    source_silent_seconds: float = 30
    """A consumer that is silent so long while messages stay behind is replaced: the process ends."""
    live_seconds: float = 120
    """Without progress for so long the process is not live."""
    attribution_window_days: float = Field(default=7, gt=0, le=90)
    """How long after a message, or a click, a conversion counts as brought about by it."""
    announce_seconds: float = 1
    """A campaign's statistics are announced at most once in this time."""
    announce_poll_seconds: float = 0.2
    announce_limit: int = 200
    announce_at_once: int = Field(default=25, ge=1, le=100)
    """Campaigns announced in a transaction."""
    reconcile_at: str = Field(default="03:00", pattern=r"^(never|([01]\d|2[0-3]):[0-5]\d)$")
    """When the books are compared with a recount of the log, every day (UTC)."""
    reconcile_poll_seconds: float = 30
    reconcile_lease_seconds: float = 60
    """A replica that does it and is silent for so long is taken over from."""

    @property
    def reconcile_time(self) -> time | None:
        """None: never."""
        return None if self.reconcile_at == "never" else time.fromisoformat(self.reconcile_at)


class ApiSettings(Settings):
    """What the API alone needs."""

    tracking_keys: SecretStr
    """Those that execution-service signs links with: all of them are read."""
    click_patience_seconds: float = Field(default=0.5, gt=0)
    """How long who clicks waits for the click to be stored."""
    clicks_waiting: int = Field(default=20_000, ge=1)
    """Clicks that may wait for the database."""
    answers_cached_bytes: int = Field(default=32 * 2**20, ge=0)
    """Answers of the statistics that a process keeps, at most."""

    @field_validator("tracking_keys")
    @classmethod
    def _keys_read(cls, value: SecretStr) -> SecretStr:
        TrackingKeys(value.get_secret_value())
        return value
