"""Fixtures and the share-out for all tests of the workspace."""

from typing import Any

import pytest
from hypothesis import settings

# No test may fail because the machine was busy: Hypothesis would give each example 200 ms.
settings.register_profile("campaigns", deadline=None)
settings.load_profile("campaigns")

pytest_plugins = ["devstack.pytest_plugin", "chaos.pytest_plugin"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With two workers (`make test`), each real stack belongs to one of them; pure tests go by file.

    Not by `xdist_group`: that release of xdist changes a field which this one of pytest does not have.
    """
    from xdist.scheduler.loadscope import LoadScopeScheduling  # noqa: PLC0415 - only there with workers

    class ByStack(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            if path.startswith("tools/devstack/"):  # has stacks of its own
                return path
            return next((stack for stack in ("e2e", "integration") if f"/{stack}/" in path), path)

    return ByStack(config, log)
