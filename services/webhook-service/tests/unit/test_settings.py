"""Settings from the environment."""

import base64

import pytest
from pydantic import ValidationError
from webhook_service.settings import DEFAULT_SCHEDULE, Settings

ENVIRONMENT = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
    "MONGO_URL": "mongodb://localhost:1",
    "JWT_SECRET": "s" * 32,
    "REDIS_URL": "redis://localhost:1",
    "ENCRYPTION_KEYS": "k1:" + base64.b64encode(bytes(32)).decode(),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("WEBHOOK_RETRY_SCHEDULE_SECONDS", "WEBHOOK_ALLOW_PRIVATE_NETWORKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_private_networks_are_closed_and_the_schedule_is_ten_attempts_by_default(
    environment: pytest.MonkeyPatch,
):
    settings = Settings()
    assert not settings.webhook_allow_private_networks
    assert settings.webhook_retry_schedule_seconds == DEFAULT_SCHEDULE


def test_the_schedule_is_read_from_a_comma_separated_list(environment: pytest.MonkeyPatch):
    environment.setenv("WEBHOOK_RETRY_SCHEDULE_SECONDS", "0.5, 2,30")
    assert Settings().webhook_retry_schedule_seconds == (0.5, 2, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_RETRY_SCHEDULE_SECONDS", "5,-1"),
        ("WEBHOOK_RETRY_SCHEDULE_SECONDS", "5,nan"),
        ("WEBHOOK_RETRY_SCHEDULE_SECONDS", "soon"),
        ("ENCRYPTION_KEYS", "k1:c2hvcnQ="),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(environment: pytest.MonkeyPatch, name: str, value: str):
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_a_lease_that_ends_before_a_request_may_is_refused(environment: pytest.MonkeyPatch):
    environment.setenv("WEBHOOK_LEASE_SECONDS", "15")
    with pytest.raises(ValidationError, match="WEBHOOK_LEASE_SECONDS must exceed"):
        Settings()
