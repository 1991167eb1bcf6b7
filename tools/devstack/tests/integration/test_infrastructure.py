"""The stack's promises on real Kafka, MongoDB and Redis."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pymongo
import pytest
import redis
from devstack import processes
from devstack.errors import StackError
from devstack.stack import Stack

pytestmark = pytest.mark.integration
INFRASTRUCTURE = {"kafka", "mongo", "redis"}
MakeStack = Callable[..., Stack]
NothingLeft = Callable[[Stack], None]


@pytest.fixture(scope="module")
def running(new_stack: MakeStack) -> Iterator[Stack]:
    stack = new_stack(INFRASTRUCTURE, stack_stop_seconds=3)
    stack.up()
    yield stack
    stack.down()


def documents(stack: Stack) -> pymongo.collection.Collection[dict[str, object]]:
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(stack.environment()["MONGO_URL"])
    return client["devstack_test"]["things"]


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def state_of(stack: Stack, name: str) -> str:
    return {row.name: row.state for row in stack.status()}[name]


def test_up_returns_when_all_is_healthy_and_a_second_call_changes_nothing(running: Stack) -> None:
    before = {row.name: row.pid for row in running.status()}
    assert set(before) == INFRASTRUCTURE
    assert all(row.problem is None and row.state in ("RUNNING", "STARTING") for row in running.status())
    running.up()
    assert {row.name: row.pid for row in running.status()} == before


@pytest.mark.parametrize("name", sorted(INFRASTRUCTURE))
def test_a_killed_component_is_repaired(running: Stack, name: str) -> None:
    killed = running.kill(name)
    wait_until(lambda: running.pid(name) not in (None, killed))
    running.wait_healthy({name})


def test_acknowledged_documents_survive_the_death_of_the_database(running: Stack) -> None:
    things = documents(running)
    things.insert_many([{"_id": f"kill-{number}"} for number in range(200)])
    killed = running.kill("mongo")
    wait_until(lambda: running.pid("mongo") not in (None, killed))
    running.wait_healthy({"mongo"})
    assert documents(running).count_documents({"_id": {"$regex": "^kill-"}}) == 200


def test_a_missing_program_is_started_by_the_next_up(running: Stack) -> None:
    running.stop("redis")
    assert running.pid("redis") is None
    running.up()
    assert redis.Redis.from_url(running.environment()["REDIS_URL"]).ping()


def test_what_is_killed_for_good_sees_no_sigterm_and_stays_down_until_it_is_started(running: Stack) -> None:
    log = running.settings.log_of("redis")
    for _ in range(3):
        said = log.stat().st_size
        running.kill_for_good("redis")
        assert state_of(running, "redis") == "STOPPED"
        assert running.pid("redis") is None
        assert not processes.is_taken(running.settings.redis_port)
        assert log.stat().st_size == said  # redis says when it is told to shut down
        running.start("redis")


def test_a_program_that_hangs_is_restarted_by_up(running: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devstack.stack.SICK_AFTER_SECONDS", -1)
    hanging = running.kill("redis", signal.SIGSTOP)
    running.up()
    assert running.pid("redis") not in (None, hanging)
    assert redis.Redis.from_url(running.environment()["REDIS_URL"]).ping()


def test_down_leaves_nothing_and_data_survives_it(new_stack: MakeStack, nothing_left: NothingLeft) -> None:
    stack = new_stack({"mongo", "redis"})
    stack.up()
    documents(stack).insert_one({"_id": "kept"})
    secrets = stack.environment()["JWT_SECRET"]
    assert set(stack.down()) == {"mongo", "redis"}
    nothing_left(stack)
    stack.up()
    assert documents(stack).find_one() == {"_id": "kept"}
    assert stack.environment()["JWT_SECRET"] == secrets
    stack.reset()
    nothing_left(stack)
    assert not stack.settings.data_dir.exists()
    assert stack.environment()["JWT_SECRET"] == secrets


def test_down_finds_what_a_killed_supervisor_left(new_stack: MakeStack, nothing_left: NothingLeft) -> None:
    stack = new_stack({"redis", "gateway"})
    stack.up()
    bystander = subprocess.Popen(["sleep", "60"])
    daemon = psutil.Process(int((stack.settings.run_dir / "supervisord.pid").read_text()))
    daemon.kill()
    wait_until(lambda: processes.wait_gone([daemon], seconds=0) == [])
    assert len(processes.of_stack(stack.settings.stack_dir)) == 2
    stack.down()
    nothing_left(stack)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_two_stacks_do_not_touch_each_other(new_stack: MakeStack) -> None:
    first, second = new_stack({"redis"}), new_stack({"redis"})
    first.up()
    second.up()
    pid = second.pid("redis")
    first.down()
    assert second.pid("redis") == pid
    assert redis.Redis.from_url(second.environment()["REDIS_URL"]).ping()
    second.down()


def test_a_taken_port_is_named_and_nothing_starts(new_stack: MakeStack) -> None:
    stack = new_stack({"mongo", "redis"})
    with socket.create_server(("127.0.0.1", stack.settings.redis_port)):
        with pytest.raises(StackError) as caught:
            stack.up()
        line = caught.value.line()
    assert line.startswith(f"error: port {stack.settings.redis_port} (redis) is taken by pid {os.getpid()} (")
    assert "REDIS_PORT=" in line
    assert processes.of_stack(stack.settings.stack_dir) == []


def test_changed_settings_take_effect_on_the_next_up(new_stack: MakeStack) -> None:
    stack = new_stack({"redis"})
    stack.up()
    port = stack.settings.stack_port_base + 400
    moved = Stack(stack.settings.model_copy(update={"redis_port": port}), only={"redis"})
    assert not processes.is_taken(port)
    moved.up()
    assert not processes.is_taken(stack.settings.redis_port)
    assert redis.Redis(port=port).ping()
    assert stack.as_started().settings.redis_port == port
    moved.down()


def test_a_component_that_dies_is_one_line_with_its_log_and_nothing_is_left(
    new_stack: MakeStack, nothing_left: NothingLeft
) -> None:
    stack = new_stack(INFRASTRUCTURE)
    broken = stack.settings.data_dir / "kafka"
    broken.mkdir(parents=True)
    (broken / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=other\n")
    answer = subprocess.run(
        [sys.executable, "-m", "devstack", "up"],
        env={
            **os.environ, "STACK_DIR": str(stack.settings.stack_dir), "ONLY": "kafka,mongo,redis",
            "STACK_PORT_BASE": str(stack.settings.stack_port_base),
            "GATEWAY_PORT": str(stack.settings.gateway_port),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 1
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert answer.stderr.rstrip().endswith(errors[0])
    assert errors[0].startswith("error: kafka dies while starting: ")
    assert f"log: {stack.settings.log_of('kafka')}" in errors[0]
    assert "Traceback" not in answer.stderr
    nothing_left(stack)


def test_a_given_url_that_does_not_answer_is_named(new_stack: MakeStack) -> None:
    stack = new_stack({"mongo"}, redis_url="redis://127.0.0.1:1/0")
    with pytest.raises(StackError, match="REDIS_URL was given, but what it names is not usable"):
        stack.up()
    assert processes.of_stack(stack.settings.stack_dir) == []
