"""Three workers were killed at once, and what they had in flight was counted as if it were one.

`in_flight += await …` reads the sum before it waits, so each of them added to the same old one. The run (seed 2)
called 584 contacts unknown of 511 counted, and nothing was wrong with the service.
"""

import time
from typing import Any

import pytest
from chaos.faults import Faults


class Stack:
    """Processes that are killed and are back at once."""

    def kill(self, name: str) -> int:
        return int(name[-1])

    def wait_healthy(self, names: set[str], seconds: float) -> None:
        return None


async def test_what_several_left_who_died_at_once_is_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def left_by(self: Any, pid: int) -> int:
        time.sleep(0.01 * pid)  # so that all have begun before the first is done
        return 10**pid

    monkeypatch.setattr(Faults, "_left_by", left_by)
    doing = Faults(Stack())  # type: ignore[arg-type]
    for number in (1, 2, 3):
        await doing.kill(f"execution-worker-{number}")
    await doing.settle()
    assert doing.in_flight == 1110
