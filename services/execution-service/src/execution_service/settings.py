"""Settings of execution-service, on top of what every service has."""

from pydantic import Field, SecretStr, field_validator
from service_kit.crypto import SecretBox
from service_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from the environment, once, in bootstrap."""

    redis_url: SecretStr
    telegram_api_base_url: str = "https://api.telegram.org"
    telegram_check_seconds: float = Field(default=2, gt=0)
    """How long Telegram may take to confirm a new bot's token."""
    encryption_keys: SecretStr
    """`k2:<base64 of 32 bytes>,k1:…`: the first encrypts, all decrypt."""
    internal_token: SecretStr
    """What campaign-service shows at /internal routes."""
    estimate_seconds: float = Field(default=0.2, gt=0)
    """Pause between two looks at which contacts, and whose audiences, have changed."""
    catch_up_seconds: float = Field(default=1, gt=0)
    """How long a request waits for contacts just stored to be counted."""
    org_settings_keep_seconds: float = Field(default=1, ge=0)
    """How long an organisation's own settings are kept before they are read again."""
    import_batch_seconds: float = Field(default=15, gt=0)
    """How long one batch of an import may take to be stored."""
    import_lease_seconds: float = Field(default=20, gt=0)
    """After how long without a sign of life an import counts as interrupted."""

    @field_validator("encryption_keys")
    @classmethod
    def _keys_work(cls, value: SecretStr) -> SecretStr:
        SecretBox(value.get_secret_value())
        return value

    @field_validator("telegram_api_base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must be an http or https address")
        return value.rstrip("/")
