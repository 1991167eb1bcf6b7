"""Fixtures for all tests of the workspace."""

pytest_plugins = ["devstack.pytest_plugin"]
