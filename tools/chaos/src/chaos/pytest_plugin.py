"""The fixture of the tests under seeded faults; their own `world` is what it runs on."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from chaos.run import Run, World
from chaos.schedule import Fault, Form, as_table


@pytest.fixture
def seeded_run(
    world: World, capsys: pytest.CaptureFixture[str]
) -> Callable[[Form, int, Sequence[Fault]], Awaitable[None]]:
    """Run a schedule of faults and compare all books; what was done is always printed."""

    async def run(form: Form, seed: int, faults: Sequence[Fault]) -> None:
        with capsys.disabled():
            print("", as_table(seed, form, faults), sep="\n")
        report, problems = await Run(world, form, faults).go()
        with capsys.disabled():
            print(*report, sep="\n")
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)

    return run
