"""The README tells the truth about metrics, settings and routes."""

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from service_kit.settings import ServiceSettings
from webhook_service import metrics
from webhook_service.entrypoints.api import delivery_routes
from webhook_service.entrypoints.api.routes import router
from webhook_service.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_every_metric_is_listed():
    own = [item for item in vars(metrics).values() if isinstance(item, MetricWrapperBase)]
    assert len(own) >= 6
    assert [name for item in own if (name := item.describe()[0].name) not in README] == []


def test_every_setting_is_listed():
    own = Settings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert [name for name in own if f"`{name.upper()}`" not in README] == []


def test_every_route_is_listed():
    for route in (*router.routes, *delivery_routes.router.routes):
        path = (
            getattr(route, "path", "").replace("{webhook_id}", ":id").replace("{delivery_id}", ":deliveryId")
        )
        for method in getattr(route, "methods", ()):
            assert f"`{method} {path}" in README
