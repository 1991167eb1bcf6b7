import json
import re
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from devstack import table
from devstack.components import gateway, kafka, mongo, redis, toxiproxy
from devstack.errors import StackError
from devstack.program import Stage
from devstack.settings import REPOSITORY, StackSettings
from devstack.supervisor import render_config, socket_path

GIVEN = ("KAFKA_BOOTSTRAP_SERVERS", "MONGO_URL", "REDIS_URL", "TELEGRAM_API_BASE_URL", "PUBLIC_BASE_URL")


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*GIVEN, "JWT_SECRET", "LOG_LEVEL", "STACK_MONGO", "WEBHOOK_RETRY_SCHEDULE_SECONDS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(
        stack_dir=tmp_path / "stack", campaigns_cache=tmp_path / "cache", stack_port_base=15000,
        gateway_port=15300,
    )  # fmt: skip


def test_every_service_process_is_a_module_run_by_this_interpreter(settings: StackSettings) -> None:
    programs = table.programs(settings)
    services = {name: item for name, item in programs.items() if item.stage is Stage.SERVICE}
    assert len(services) == 14
    assert services["stats-aggregator"].command == (sys.executable, "-m", "stats_service", "aggregator")
    assert services["campaign-api"].environment == {
        "HOST": "127.0.0.1", "PORT": "15101", "ADMIN_PORT": "15201",
    }  # fmt: skip
    assert "PORT" not in services["campaign-relay"].environment


def test_more_workers_are_programs_of_their_own_beside_the_first(settings: StackSettings) -> None:
    programs = table.programs(settings.model_copy(update={"stack_workers": 3}))
    workers = {name: item for name, item in programs.items() if name.startswith("execution-worker")}
    assert list(workers) == ["execution-worker", "execution-worker-2", "execution-worker-3"]
    assert {item.command[-1] for item in workers.values()} == {"worker"}
    assert [item.environment["ADMIN_PORT"] for item in workers.values()] == ["15207", "15222", "15223"]


def test_no_two_programs_share_a_port(settings: StackSettings) -> None:
    settings = settings.model_copy(update={"stack_workers": 16})
    ports = [port for item in table.programs(settings).values() for port in item.ports.values()]
    assert len(ports) == len(set(ports))


def test_what_is_given_by_url_is_not_started_and_its_url_is_used(tmp_path: Path) -> None:
    settings = StackSettings(
        stack_dir=tmp_path, mongo_url="mongodb://db:27017/?replicaSet=rs", redis_url="redis://cache/1",
        kafka_bootstrap_servers="broker:9092", telegram_api_base_url="http://bot.example",
    )  # fmt: skip
    assert {"kafka", "mongo", "redis", "telegram-simulator"}.isdisjoint(table.programs(settings))
    environment = table.environment(settings)
    assert environment["MONGO_URL"] == "mongodb://db:27017/?replicaSet=rs"
    assert environment["REDIS_URL"] == "redis://cache/1"
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "broker:9092"
    assert environment["TELEGRAM_API_BASE_URL"] == "http://bot.example"


def test_a_variable_from_outside_wins_over_the_default(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", "x" * 40)
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE_NETWORKS", "false")
    environment = table.environment(settings)
    assert environment["JWT_SECRET"] == "x" * 40
    assert environment["WEBHOOK_ALLOW_PRIVATE_NETWORKS"] == "false"
    assert "WEBHOOK_RETRY_SCHEDULE_SECONDS" not in environment
    monkeypatch.setenv("WEBHOOK_RETRY_SCHEDULE_SECONDS", "1,2")
    assert table.environment(settings)["WEBHOOK_RETRY_SCHEDULE_SECONDS"] == "1,2"


def test_the_supervisor_restarts_everything_and_holds_no_secret(settings: StackSettings) -> None:
    text = render_config(settings, table.programs(settings).values())
    config = RawConfigParser()
    config.read_string(text)
    programs = [name for name in config.sections() if name.startswith("program:")]
    assert len(programs) == 19
    for name in programs:
        section = config[name]
        assert section["autorestart"] == "true"
        assert section["stopasgroup"] == section["killasgroup"] == "true"
        assert section["stopsignal"] == "TERM"
    for secret in ("JWT_SECRET", "ENCRYPTION_KEYS", "INTERNAL_TOKEN", "TRACKING_KEYS"):
        assert table.environment(settings)[secret] not in text


def test_a_percent_sign_in_a_path_is_not_expanded(tmp_path: Path) -> None:
    settings = StackSettings(stack_dir=tmp_path / "100% mine", campaigns_cache=tmp_path)
    text = render_config(settings, [redis.program(settings)])
    assert "100%% mine/run/redis.conf'" in text


def test_the_socket_path_is_short_however_deep_the_stack_is() -> None:
    deep = Path("/", *["very-long-folder-name"] * 20)
    assert len(str(socket_path(deep))) < 100
    assert socket_path(deep) != socket_path(deep / "other")


def test_kafka_listens_on_loopback_and_creates_no_topic_by_itself(settings: StackSettings) -> None:
    lines = dict(line.split("=", 1) for line in kafka.render_config(settings).splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:15092,CONTROLLER://127.0.0.1:15093"
    assert lines["auto.create.topics.enable"] == "false"
    for name in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert lines[f"{name}.replication.factor"] == "1"


def test_the_services_of_a_proxied_stack_reach_kafka_and_redis_through_toxiproxy(
    settings: StackSettings, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"stack_proxied": True})
    with pytest.raises(StackError, match="toxiproxy is not installed"):
        table.programs(settings)
    binary = tmp_path / "cache" / f"toxiproxy-{toxiproxy.VERSION}" / "server"
    binary.parent.mkdir(parents=True)
    binary.touch()
    assert table.programs(settings)["toxiproxy"].command[0] == str(binary)
    environment = table.environment(settings)
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:15094"
    assert environment["REDIS_URL"] == "redis://127.0.0.1:15078/0"
    settings.run_dir.mkdir(parents=True)
    toxiproxy.prepare(settings)
    written = json.loads((settings.run_dir / "toxiproxy.json").read_text())
    assert {item["name"]: (item["listen"], item["upstream"]) for item in written} == {
        "kafka": ("127.0.0.1:15094", "127.0.0.1:15095"),
        "redis": ("127.0.0.1:15078", "127.0.0.1:15079"),
    }
    lines = dict(line.split("=", 1) for line in kafka.render_config(settings).splitlines())
    assert "PROXIED://127.0.0.1:15095" in lines["listeners"]
    assert "PROXIED://127.0.0.1:15094" in lines["advertised.listeners"]


def test_go_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="Go is missing"):
        toxiproxy.install(tmp_path / "cache")


def test_the_pom_fetches_the_version_that_is_run() -> None:
    text = (REPOSITORY / "deploy" / "kafka" / "pom.xml").read_text()
    assert re.search(r"<kafka.version>(.*)</kafka.version>", text)[1] == kafka.VERSION  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "major"),
    [('openjdk version "17.0.15" 2025', 17), ('java version "1.8.0_402"', 8), ('openjdk version "21"', 21),
     ("command not found", None)],
)  # fmt: skip
def test_java_versions_are_read_in_old_and_new_style(text: str, major: int | None) -> None:
    assert kafka.java_major(text) == major


def test_old_java_is_refused_with_both_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"Java 11 at .* is too old, Kafka needs 17"):
        kafka.check_java()


def test_missing_java_and_maven_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="Java is missing"):
        kafka.check_java()
    with pytest.raises(StackError, match="Maven is missing"):
        kafka.install_jars(tmp_path / "cache")


@pytest.mark.parametrize("engine", ["secantusd-rs", "secantusd-py"])
def test_acknowledged_writes_are_always_synced(settings: StackSettings, engine: str) -> None:
    command = mongo.command(engine, f"/bin/{engine}", settings)
    assert "--sync-on-commit" in command


def test_existing_data_decides_which_server_opens_it(settings: StackSettings, tmp_path: Path) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "mongo.engine").write_text("secantusd-py")
    assert mongo.choose(settings) == "secantusd-py"
    wanted = settings.model_copy(update={"stack_mongo": "secantusd-rs"})
    with pytest.raises(StackError, match="was written by secantusd-py"):
        mongo.choose(wanted)


def test_the_gateway_gets_an_address_for_every_name_in_its_route_table(settings: StackSettings) -> None:
    table_text = (gateway.FOLDER / "dynamic.yml").read_text()
    asked = set(re.findall(r'env "([A-Z_]+)"', table_text))
    assert asked <= set(gateway.environment(settings))
    assert gateway.environment(settings)["TRAEFIK_ENTRYPOINTS_WEB_ADDRESS"] == "127.0.0.1:15300"
