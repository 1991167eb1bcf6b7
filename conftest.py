"""Fixtures and the share-out for all tests of the workspace."""

import pytest

pytest_plugins = ["devstack.pytest_plugin"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With two workers (`make test`), each real stack belongs to one of them; pure tests go anywhere."""
    for item in items:
        if item.get_closest_marker("e2e") or "e2e" in item.path.parts:
            item.add_marker(pytest.mark.xdist_group("e2e"))
        elif item.get_closest_marker("integration"):
            item.add_marker(pytest.mark.xdist_group("integration"))
