import pytest
from devstack.settings import PORT_OFFSETS, StackSettings
from pydantic import ValidationError


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gateway_port", "stack_port_base", "stack_dir", *PORT_OFFSETS):
        monkeypatch.delenv(name.upper(), raising=False)


def test_ports_derive_from_the_base_and_the_gateway_does_not() -> None:
    settings = StackSettings(stack_port_base=15000)
    assert settings.kafka_port == 15092
    assert settings.kafka_controller_port == 15093
    assert settings.mongo_port == 15017
    assert settings.redis_port == 15079
    assert settings.gateway_admin_port == 15080
    assert settings.simulator_port == 15081
    assert settings.campaign_api_port == 15101
    assert settings.webhook_api_port == 15104
    assert settings.campaign_api_admin_port == 15201
    assert settings.webhook_deliverer_admin_port == 15213
    assert settings.gateway_port == 3000


def test_a_variable_of_its_own_moves_one_port_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PORT", "29092")
    settings = StackSettings()
    assert settings.kafka_port == 29092
    assert settings.mongo_port == 13017


def test_two_parts_on_one_port_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="REDIS_PORT and KAFKA_PORT are both 13092"):
        StackSettings(redis_port=13092)


def test_a_port_of_one_more_worker_is_refused_too_when_it_is_taken() -> None:
    with pytest.raises(ValidationError, match="REDIS_PORT and EXECUTION_WORKER_2_ADMIN_PORT are both 13222"):
        StackSettings(redis_port=13222, stack_workers=2)
    assert StackSettings(redis_port=13222).redis_port == 13222


def test_a_broker_that_runs_elsewhere_cannot_be_proxied() -> None:
    with pytest.raises(ValidationError, match="our own Kafka and Redis only"):
        StackSettings(stack_proxied=True, kafka_bootstrap_servers="broker:9092")


@pytest.mark.parametrize("base", [0, 65_500])
def test_a_base_without_room_for_the_ports_is_refused(base: int) -> None:
    with pytest.raises(ValidationError):
        StackSettings(stack_port_base=base)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URL", "")
    monkeypatch.setenv("GATEWAY_PORT", "")
    settings = StackSettings()
    assert settings.mongo_url is None
    assert settings.gateway_port == 3000


def test_settings_survive_the_note_that_status_reads() -> None:
    settings = StackSettings(stack_port_base=15000, redis_url="redis://:secret@127.0.0.1/0")
    assert StackSettings.model_validate_json(settings.model_dump_json()) == settings
