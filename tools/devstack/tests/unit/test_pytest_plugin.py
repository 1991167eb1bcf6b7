"""Where the tests' real parts come from."""

import pytest
from devstack import pytest_plugin


@pytest.mark.parametrize(
    ("installed", "local"),
    [
        ({"java", "mvn"}, {"kafka", "mongo", "redis"}),
        ({"java"}, {"mongo", "redis"}),
        ({"mvn"}, {"mongo", "redis"}),
        (set(), {"mongo", "redis"}),
    ],
)
def test_kafka_runs_here_only_with_java_and_maven_the_others_always(
    installed: set[str], local: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest_plugin.shutil, "which", lambda name: name if name in installed else None)
    assert pytest_plugin.local_parts({"kafka", "mongo", "redis"}) == local


def test_a_part_that_was_given_by_url_is_not_started_here() -> None:
    assert pytest_plugin.local_parts({"redis"}) == {"redis"}
