"""The README names every metric of this service."""

from pathlib import Path

from execution_service import metrics_engine
from prometheus_client.metrics import MetricWrapperBase


def test_every_metric_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    ours = [value for value in vars(metrics_engine).values() if isinstance(value, MetricWrapperBase)]
    names = [metric.name for described in ours for metric in described.describe()]
    assert names
    assert [name for name in names if f"`{name}`" not in readme] == []
