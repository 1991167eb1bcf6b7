"""Settings that every service has. Values come from the environment; a secret may come from a file.

`FOO_FILE=/run/secrets/foo` is read when `FOO` itself is not set, for every setting of type SecretStr.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Read once, in bootstrap. Raises pydantic's ValidationError, which names what is missing."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    host: str = "127.0.0.1"
    port: int = 8000
    admin_port: int = 9000
    log_level: str = "INFO"

    kafka_bootstrap_servers: str
    kafka_request_timeout_ms: int = 10_000
    mongo_url: SecretStr
    mongo_timeout_ms: int = 2_500
    """How long MongoDB may take: to be found, for a connection, for a transaction."""
    request_timeout_seconds: float = Field(default=2.5, gt=0.2)
    """How long an API request may take to begin its answer before it is a 503; clients are promised 3 s."""
    consumer_max_attempts: int = 5
    """Attempts at an event that fails for a reason nobody foresaw, before it is parked."""
    consumer_retry_seconds: float = 0.2
    consumer_retry_max_seconds: float = 5
    inbox_retention_days: int = 14
    idempotency_hours: float = Field(default=24, gt=0)
    """How long the answer under an Idempotency-Key is given again."""
    idempotency_lock_seconds: float = Field(default=20, gt=0)
    """How long a key waits for a request whose process died; well above what any request takes."""
    idempotency_wait_seconds: float = Field(default=1, gt=0)
    """How long taking over or giving back a key may wait for a transaction that holds it."""
    lease_seconds: float = 5
    relay_batch: int = 500
    relay_poll_seconds: float = 0.03

    jwt_secret: SecretStr | None = None
    jwt_jwks_url: str | None = None
    jwt_algorithms: Annotated[list[str], NoDecode] = Field(default_factory=lambda: ["HS256"])
    jwt_issuer: str = "campaigns"
    jwt_audience: str = "campaigns-api"
    max_body_bytes: int = 512 * 1024

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files_and_lists(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name, field in cls.model_fields.items():
            file = os.environ.get(f"{name.upper()}_FILE")
            if file and name not in values and "SecretStr" in str(field.annotation):
                values[name] = Path(file).read_text(encoding="utf-8").strip()
        algorithms = values.get("jwt_algorithms")
        if isinstance(algorithms, str):
            values["jwt_algorithms"] = [item.strip() for item in algorithms.split(",") if item.strip()]
        return values

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> "ServiceSettings":
        """HMAC and public-key algorithms never mix: a public key must not become an HMAC secret."""
        hmac = {name for name in self.jwt_algorithms if name.startswith("HS")}
        if hmac and (self.jwt_secret is None or len(hmac) < len(self.jwt_algorithms)):
            raise ValueError(
                "JWT_ALGORITHMS with HS… needs JWT_SECRET, and no other kind of algorithm beside it"
            )
        if not hmac and self.jwt_jwks_url is None:
            raise ValueError("JWT_ALGORITHMS without HS… needs JWT_JWKS_URL")
        if not self.jwt_algorithms or "none" in {name.lower() for name in self.jwt_algorithms}:
            raise ValueError("JWT_ALGORITHMS must name real algorithms")
        return self


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load_settings(model: type[SettingsT]) -> SettingsT:
    """The process's settings, or one line that names what is missing or wrong, and exit code 1."""
    try:
        return model()
    except ValidationError as error:
        problems = (_problem(item["loc"], item["msg"]) for item in error.errors())
        sys.exit(f"error: settings: {'; '.join(problems)}")
    except OSError as error:
        sys.exit(f"error: settings: {error.filename}: {error.strerror}")


def _problem(loc: tuple[int | str, ...], message: str) -> str:
    """Environment variable and rule, never the value: it may be a secret."""
    name = "_".join(str(part) for part in loc).upper()
    return f"{name}: {message}" if name else message.removeprefix("Value error, ")
