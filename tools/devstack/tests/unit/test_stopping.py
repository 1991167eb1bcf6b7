"""Stopping for good what the supervisor would start again."""

from pathlib import Path
from typing import Any

import pytest
from devstack.settings import StackSettings
from devstack.supervisor import Supervisor


class Restarting(Supervisor):
    """supervisord with one program: asked to stop, it refuses while that has died and is not back yet."""

    def __init__(self, settings: StackSettings, state: str) -> None:
        super().__init__(settings)
        self.state = state

    def info(self) -> dict[str, dict[str, Any]]:
        state = self.state
        self.state = {"EXITED": "STARTING", "STOPPING": "STOPPED"}.get(state, state)
        return {"mongo": {"statename": state}}

    def stop(self, name: str) -> None:
        if self.state in ("STARTING", "RUNNING", "BACKOFF"):
            self.state = "STOPPING"


@pytest.mark.parametrize("state", ["RUNNING", "EXITED", "BACKOFF", "STOPPING", "STOPPED"])
def test_what_is_stopped_stays_down_also_when_it_had_just_died_of_itself(tmp_path: Path, state: str) -> None:
    supervisor = Restarting(StackSettings(stack_dir=tmp_path), state)
    supervisor.stop_all(["mongo"], seconds=5)
    assert supervisor.info()["mongo"]["statename"] == "STOPPED"
