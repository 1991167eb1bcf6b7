"""Each process imports what it runs, and no more: a stack starts fourteen of them at the same moment."""

import pytest
from service_kit.testing.imports import packages_of


@pytest.mark.parametrize(
    ("command", "needed", "spared"),
    [
        ("api", {"fastapi"}, {"aiohappyeyeballs", "aiokafka"}),
        ("consumer", {"aiokafka"}, {"fastapi", "aiohappyeyeballs"}),
        ("deliverer", {"aiohappyeyeballs"}, {"fastapi", "aiokafka"}),
    ],
)
def test_a_process_imports_its_own_parts_alone_and_names_a_missing_setting(
    command: str, needed: set[str], spared: set[str]
) -> None:
    imported = packages_of("webhook_service", command)

    assert needed <= imported
    assert not spared & imported
