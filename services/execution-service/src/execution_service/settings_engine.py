"""Settings of the planner and the workers, on top of the service's."""

from contracts.tracking import TrackingKeys
from pydantic import Field, SecretStr, field_validator

from execution_service.settings import Settings


class EngineSettings(Settings):
    """Read from the environment, once, in bootstrap."""

    shard_size: int = Field(default=2_000, ge=1, le=10_000)
    """Contacts in a shard at most; the first shards of an execution are smaller."""
    planners: int = Field(default=2, ge=1)
    """Executions that one process plans side by side."""
    plan_lease_seconds: float = Field(default=10, gt=0)
    sweep_seconds: float = Field(default=2, gt=0)
    """Pause between two looks for what a crash or a race left undone: see FinishExecution.sweep."""
    idle_seconds: float = Field(default=0.2, gt=0)
    """Pause of a planner or runner that finds nothing to do."""

    worker_runners: int = Field(default=8, ge=1)
    """Shards that one process sends side by side."""
    window_size: int = Field(default=500, ge=1, le=1_000)
    """Contacts in a window at most, but no more than the bot may send in a quarter of a second (7 at 30 a
    second, 250 at 1,000): what a crash may leave unknown, for each runner."""
    shard_lease_seconds: float = Field(default=15, gt=5)
    """After so long without a sign of life another worker takes the shard."""
    shard_slice_seconds: float = Field(default=10, gt=0)
    """How long a shard may keep its runner while others wait."""
    turn_seconds: float = Field(default=0.5, gt=0)
    """How often a process looks which executions have need of its runners."""
    shard_patience_seconds: float = Field(default=1, gt=0)
    """A shard that must wait longer is put back."""
    intent_seconds: float = Field(default=0.15, gt=0)
    """How long before its first message a window's intent is stored."""
    pause_seconds: float = Field(default=1, gt=0)
    """Nothing is sent later than that after a pause, a cancellation or an earlier end was stored."""
    reach_seconds: float = Field(default=2, gt=0)
    """How long it is tried to note which contacts cannot be reached; who is not noted is tried again."""
    telegram_connect_seconds: float = Field(default=3, gt=0)
    telegram_answer_seconds: float = Field(default=8, gt=0)
    """After so long without an answer nobody knows whether a message was delivered."""
    telegram_connections: int = Field(default=1_000, ge=1)
    bot_keep_seconds: float = Field(default=5, gt=0)
    """How long a bot's token and limits are kept before they are read again."""
    drain_seconds: float = Field(default=4, gt=0)
    """How long a stopping worker waits for answers that are under way."""
    redis_timeout_seconds: float = Field(default=1, gt=0)


class WorkerSettings(EngineSettings):
    """What workers alone need: they make the links behind buttons."""

    tracking_keys: SecretStr
    """`k2:<base64 of 32 bytes>,k1:…`: the first signs the links behind buttons, stats-service reads all."""
    tracking_base_url: str = Field(max_length=500)
    """What those links begin with: the public address of `/api/v1/t`. Telegram takes no localhost."""

    @field_validator("tracking_keys")
    @classmethod
    def _keys_sign(cls, value: SecretStr) -> SecretStr:
        TrackingKeys(value.get_secret_value())
        return value

    @field_validator("tracking_base_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must be an http or https address")
        return value
