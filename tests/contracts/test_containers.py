"""docker-compose.yml says the same as the native stack, and its secrets are made once."""

import json
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from devstack.components.gateway import SERVICES as GATEWAY_SERVICES
from devstack.table import SERVICES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
READS_SETTINGS = """
import json, os, runpy, sys
import service_kit.process as process
process.run_process = lambda *_, **__: sys.exit(0)
package, answers = sys.argv[1], {}
for command, environment in json.loads(sys.argv[2]).items():
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [package, command]
    try:
        runpy.run_module(f"{package}.__main__", run_name="__main__")
    except SystemExit as end:
        answers[command] = end.code
print(json.dumps(answers))
"""
"""Starts each command up to where its process would run."""
SECRETS = ("JWT_SECRET", "ENCRYPTION_KEYS", "INTERNAL_TOKEN", "TRACKING_KEYS")


def make_env(file: Path) -> dict[str, str]:
    """Run the script as the Makefile does, without the site's packages; what the file says then."""
    script = ROOT / "deploy" / "compose" / "make_env.py"
    subprocess.run([sys.executable, "-IS", str(script), str(file)], check=True, capture_output=True)
    return dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines())


def test_containers_run_exactly_the_processes_of_the_native_stack() -> None:
    ours = {f"{service}-{process}" for service, processes in SERVICES.items() for process in processes}
    found = re.findall(
        r"^  ([a-z]+-[a-z]+):\n(?:    .*\n)+?    command: \[python, -m, ([a-z]+)_service, ([a-z]+)\]$",
        COMPOSE, flags=re.MULTILINE,
    )  # fmt: skip
    assert [name for name, _, _ in found] == [f"{service}-{process}" for _, service, process in found]
    assert {name for name, _, _ in found} == ours


def filled_in(value: str, given: dict[str, str]) -> str:
    """`value` with its variables, the innermost first: what is given, else what stands behind `:-` or `:+`."""
    pattern = re.compile(r"\$\{(\w+)(?::[-+?]([^{}]*))?\}")
    while pattern.search(value):
        value = pattern.sub(lambda found: given.get(found[1]) or found[2] or "", value)
    return value


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_is_given_all_settings_that_its_process_needs(service: str, tmp_path: Path) -> None:
    given = make_env(tmp_path / ".env")
    processes = {}
    for name, container in yaml.safe_load(COMPOSE)["services"].items():
        if name.startswith(f"{service}-") and "-m" in container.get("command", []):
            processes[container["command"][-1]] = {
                key: filled_in(str(value), given) for key, value in container["environment"].items()
            }
    assert set(processes) == set(SERVICES[service])
    asked = subprocess.run(
        [sys.executable, "-c", READS_SETTINGS, f"{service}_service", json.dumps(processes)],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert json.loads(asked.stdout) == dict.fromkeys(processes, 0)


def test_the_gateway_knows_every_address_that_its_route_table_asks_for() -> None:
    routes = (ROOT / "deploy" / "gateway" / "dynamic.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r'env "([A-Z_]+)"', routes))
    gateway = COMPOSE.split("\n  gateway:\n")[1].split("\n\n  #")[0]
    assert asked == {"GATEWAY_ADMIN_URL", *(f"{name.upper()}_SERVICE_URL" for name in GATEWAY_SERVICES)}
    assert asked <= set(re.findall(r"^      ([A-Z_]+): ", gateway, flags=re.MULTILINE))


def test_without_secrets_compose_says_what_to_run() -> None:
    uses = re.findall(rf"\$\{{({'|'.join(SECRETS)})([^}}]*)\}}", COMPOSE)
    assert {name for name, _ in uses} == set(SECRETS)
    assert {rule for _, rule in uses} == {":?run make compose-env first"}


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    first = make_env(file)
    assert set(first) == set(SECRETS) and all(len(value) >= 32 for value in first.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert make_env(file) == first


def test_what_the_operator_wrote_stays_and_what_is_missing_is_added(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("GATEWAY_PORT=8080\nJWT_SECRET=given-by-the-operator", encoding="utf-8")
    made = make_env(file)
    assert made["GATEWAY_PORT"] == "8080"
    assert made["JWT_SECRET"] == "given-by-the-operator"
    assert set(made) == {"GATEWAY_PORT", *SECRETS}


class Server:
    """Answers as a MongoDB server does at one stage of its life, and notes what it was told."""

    def __init__(self, hello: dict[str, object]) -> None:
        self.hello = hello
        self.told: list[object] = []
        self.admin = self

    def command(self, name: str, argument: object = None) -> dict[str, object]:
        if name == "replSetInitiate":
            self.told.append(argument)
        return self.hello


def initiate(hello: dict[str, object]) -> tuple[str | None, list[object]]:
    """What the job says about such a server, and what it told it."""
    server = Server(hello)
    script = runpy.run_path(str(ROOT / "deploy" / "compose" / "initiate_mongo.py"))
    return script["initiate"](server, "mongo:27017"), server.told


def test_a_fresh_server_is_made_a_replica_set_once() -> None:
    problem, told = initiate({"isWritablePrimary": False, "secondary": False, "isreplicaset": True})
    assert told == [{"_id": "campaigns", "members": [{"_id": 0, "host": "mongo:27017"}]}]
    assert problem
    assert initiate({"setName": "campaigns", "isWritablePrimary": True}) == (None, [])


def test_a_server_that_can_not_do_transactions_is_not_taken_for_ready() -> None:
    alone, told = initiate({"isWritablePrimary": True})
    assert alone and "--replSet" in alone and not told
    electing, told = initiate({"setName": "campaigns", "isWritablePrimary": False, "secondary": True})
    assert electing and not told
