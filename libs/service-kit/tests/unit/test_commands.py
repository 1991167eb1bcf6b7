import gc
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from service_kit.commands import run_command

PROCESS = """
import gc
from service_kit.commands import run_command
from service_kit.process import run_process
from service_kit.settings import ServiceSettings

async def tell():
    print("collecting:", gc.isenabled(), flush=True)

async def prepare():
    return {"tell": tell}

def api():
    assert not gc.isenabled()
    run_process("kit-api", ServiceSettings(), prepare=prepare)

run_command([api], program="kit", arguments=["api"])
"""


@pytest.fixture(autouse=True)
def _collecting_again() -> Iterator[None]:
    yield
    gc.enable()


def test_the_named_command_runs_and_no_other() -> None:
    ran: list[str] = []

    def api() -> None:
        """Serve."""
        ran.append("api")

    def relay() -> None:
        """Publish."""
        ran.append("relay")

    run_command([api, relay], program="kit", arguments=["relay"])

    assert ran == ["relay"]


@pytest.mark.parametrize("arguments", [[], ["worker"], ["api", "more"]])
def test_without_a_known_command_the_usage_is_shown(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def api() -> None:
        """Serve."""

    with pytest.raises(SystemExit) as exit_:
        run_command([api], program="kit", arguments=arguments)

    assert exit_.value.code == 2
    assert "usage: python -m kit" in capsys.readouterr().err


def test_a_parameter_of_a_command_is_an_argument_that_must_be_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran: list[str] = []

    def rebuild(campaign: str) -> None:
        """Count again."""
        ran.append(campaign)

    run_command([rebuild], program="kit", arguments=["rebuild", "camp_1"])
    for wrong in (["rebuild"], ["rebuild", "camp_1", "more"]):
        with pytest.raises(SystemExit) as exit_:
            run_command([rebuild], program="kit", arguments=wrong)
        assert exit_.value.code == 2

    assert ran == ["camp_1"]
    assert "campaign" in capsys.readouterr().err


def test_a_process_that_runs_collects_garbage_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        env={
            "ADMIN_PORT": str(port),
            "KAFKA_BOOTSTRAP_SERVERS": "unused",
            "MONGO_URL": "unused",
            "JWT_SECRET": "-" * 64,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "collecting: True" in done.stdout, done.stderr
