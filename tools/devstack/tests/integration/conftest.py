import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devstack import processes
from devstack.settings import PORT_OFFSETS, StackSettings
from devstack.stack import Stack


def free_base() -> int:
    """A port base whose ports are all free now, away from 18000–18999 and from every default."""
    for _ in range(200):
        base = random.randrange(20_000, 30_000, 500)
        if not any(processes.is_taken(base + offset) for offset in (*PORT_OFFSETS.values(), 300)):
            return base
    raise AssertionError("no free port range")


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Callable[..., Stack]]:
    """Makes stacks of their own ports and folders; whatever they leave is stopped at the end."""
    made: list[Stack] = []

    def make(only: set[str], **settings: object) -> Stack:
        folder = Path(tempfile.mkdtemp(prefix="devstack-test-"))
        taken = {stack.settings.stack_port_base for stack in made}
        # Two that are not up yet would both find the same base free.
        base = next(base for base in iter(free_base, None) if base not in taken)
        values = {"stack_port_base": base, "gateway_port": base + 300, "stack_dir": folder, **settings}
        stack = Stack(StackSettings.model_validate(values), only=only)
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.down()
        shutil.rmtree(stack.settings.stack_dir, ignore_errors=True)


def assert_nothing_left(stack: Stack) -> None:
    """No process that carries the stack's mark, and none of its ports taken."""
    left = [processes.describe(process) for process in processes.of_stack(stack.settings.stack_dir)]
    assert left == []
    ports = [port for program in stack.programs().values() for port in program.ports.values()]
    assert [port for port in ports if processes.is_taken(port)] == []


@pytest.fixture(scope="session")
def nothing_left() -> Callable[[Stack], None]:
    return assert_nothing_left
