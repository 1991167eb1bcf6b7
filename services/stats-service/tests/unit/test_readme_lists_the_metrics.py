"""The README names every metric of this service, and every setting."""

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from service_kit.settings import ServiceSettings
from stats_service import metrics
from stats_service.settings import ApiSettings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_every_metric_is_in_the_readme() -> None:
    ours = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    names = [metric.name for described in ours for metric in described.describe()]
    assert names and [name for name in names if name not in README] == []


def test_every_setting_of_its_own_is_in_the_readme() -> None:
    names = [name.upper() for name in set(ApiSettings.model_fields) - set(ServiceSettings.model_fields)]
    assert names and [name for name in names if name not in README] == []
