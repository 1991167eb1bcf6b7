"""What can be set from outside, all by environment variables of the same names in upper case.

Ports derive from STACK_PORT_BASE, so that several stacks live side by side with one variable changed;
each port has a variable of its own that wins. The gateway's port does not move with the base: it is
the address that people know.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parents[4]

PORT_OFFSETS: dict[str, int] = {
    "mongo_port": 17,
    "toxiproxy_port": 74,
    "redis_proxy_port": 78,
    "redis_port": 79,
    "gateway_admin_port": 80,
    "simulator_port": 81,
    "kafka_port": 92,
    "kafka_controller_port": 93,
    "kafka_proxy_port": 94,
    "kafka_proxied_port": 95,
    "campaign_api_port": 101,
    "execution_api_port": 102,
    "stats_api_port": 103,
    "webhook_api_port": 104,
    "campaign_api_admin_port": 201,
    "campaign_relay_admin_port": 202,
    "campaign_consumer_admin_port": 203,
    "execution_api_admin_port": 204,
    "execution_relay_admin_port": 205,
    "execution_planner_admin_port": 206,
    "execution_worker_admin_port": 207,
    "stats_api_admin_port": 208,
    "stats_relay_admin_port": 209,
    "stats_aggregator_admin_port": 210,
    "webhook_api_admin_port": 211,
    "webhook_consumer_admin_port": 212,
    "webhook_deliverer_admin_port": 213,
    "webhook_relay_admin_port": 214,
}
"""Field name to distance from STACK_PORT_BASE."""

MORE_WORKERS_OFFSET = 220
"""Distance of the admin port of the worker numbered 0, were there one: the second one's is 222."""


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "campaigns"


class StackSettings(BaseSettings):
    """One stack. A port of 0 means: derive it. Raises pydantic's ValidationError."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, validate_default=True)

    stack_dir: Path = REPOSITORY / ".stack"
    campaigns_cache: Path = Field(default_factory=_default_cache)
    stack_mongo: Literal["auto", "mongod", "secantusd-rs", "secantusd-py"] = "auto"
    stack_mongo_cache_mb: int = Field(default=256, ge=256)
    """The database's cache; more for data by the hundred thousand."""
    stack_transaction_seconds: int = Field(default=20, ge=1)
    """A client killed in a transaction leaves it open, and its writes block others for so long (60 is the
    server's own default). Longer than any transaction of the services: an import's batch may take 15."""

    stack_workers: int = Field(default=1, ge=1, le=16)
    """Processes that send: `execution-worker`, `execution-worker-2` and so on."""

    stack_proxied: bool = False
    """Whether the services reach our Kafka and our Redis through toxiproxy, which can part them."""

    stack_start_timeout_seconds: float = 180
    """How long one start may take until everything is healthy."""

    stack_stop_seconds: int = 30
    """How long a program may take to stop before it is killed; more than the services' own drain time."""

    kafka_bootstrap_servers: str | None = None
    kafka_replication_factor: int = 1
    mongo_url: str | None = None
    redis_url: str | None = None
    telegram_api_base_url: str | None = None

    stack_port_base: int = Field(default=13000, ge=1, le=65000)
    gateway_port: int = Field(default=3000, ge=1, le=65535)
    mongo_port: int = 0
    redis_port: int = 0
    gateway_admin_port: int = 0
    simulator_port: int = 0
    kafka_port: int = 0
    kafka_controller_port: int = 0
    kafka_proxy_port: int = 0
    kafka_proxied_port: int = 0
    redis_proxy_port: int = 0
    toxiproxy_port: int = 0
    campaign_api_port: int = 0
    execution_api_port: int = 0
    stats_api_port: int = 0
    webhook_api_port: int = 0
    campaign_api_admin_port: int = 0
    campaign_relay_admin_port: int = 0
    campaign_consumer_admin_port: int = 0
    execution_api_admin_port: int = 0
    execution_relay_admin_port: int = 0
    execution_planner_admin_port: int = 0
    execution_worker_admin_port: int = 0
    stats_api_admin_port: int = 0
    stats_relay_admin_port: int = 0
    stats_aggregator_admin_port: int = 0
    webhook_api_admin_port: int = 0
    webhook_consumer_admin_port: int = 0
    webhook_deliverer_admin_port: int = 0
    webhook_relay_admin_port: int = 0

    @model_validator(mode="after")
    def _derive(self) -> Self:
        self.stack_dir = self.stack_dir.expanduser().resolve()
        self.campaigns_cache = self.campaigns_cache.expanduser().resolve()
        for name, offset in PORT_OFFSETS.items():
            if self.port(name) == 0:
                setattr(self, name, self.stack_port_base + offset)
        self._no_port_twice()
        if self.stack_proxied and (self.kafka_bootstrap_servers or self.redis_url):
            raise ValueError("STACK_PROXIED goes with our own Kafka and Redis only")
        return self

    def _no_port_twice(self) -> None:
        owners: dict[int, str] = {}
        ports = {name: self.port(name) for name in ("gateway_port", *PORT_OFFSETS)}
        for number in range(2, self.stack_workers + 1):
            ports[f"execution_worker_{number}_admin_port"] = self.more_worker_port(number)
        for name, port in ports.items():
            if not 1 <= port <= 65535:
                raise ValueError(f"{name.upper()}={port} is not a port")
            if port in owners:
                raise ValueError(f"{owners[port].upper()} and {name.upper()} are both {port}")
            owners[port] = name

    def more_worker_port(self, number: int) -> int:
        """The admin port of the second worker and those after it."""
        return self.stack_port_base + MORE_WORKERS_OFFSET + number

    def port(self, name: str) -> int:
        """The port of a field, `kafka_port` for example."""
        value: int = getattr(self, name)
        return value

    @property
    def data_dir(self) -> Path:
        """Everything that `reset` wipes and `down` keeps."""
        return self.stack_dir / "data"

    @property
    def log_dir(self) -> Path:
        """One file per program."""
        return self.stack_dir / "logs"

    @property
    def run_dir(self) -> Path:
        """Generated configuration, the supervisor's pid."""
        return self.stack_dir / "run"

    @property
    def gateway_url(self) -> str:
        """The address that people and tests use."""
        return f"http://localhost:{self.gateway_port}"

    def log_of(self, program: str) -> Path:
        """The program's log file."""
        return self.log_dir / f"{program}.log"
