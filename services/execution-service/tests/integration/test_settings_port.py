"""The port of settings, the same suite on the fake and on MongoDB."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any

import pytest
from execution_service.application.ports import Collision
from execution_service.application.ports_settings import StoredSettings
from execution_service.bootstrap import Wiring
from execution_service.domain.org_settings import FrequencyCap, GuardRails, OrgSettings, QuietHours
from service_kit.ports import Transactions, Tx

pytestmark = pytest.mark.integration
FIRST = OrgSettings(
    "acme",
    cost_per_message=0.05,
    currency="EUR",
    frequency_cap=FrequencyCap(3, 24),
    quiet_hours=QuietHours(time(22, 30), time(8)),
    timezone="Asia/Kathmandu",
    timezone_mode="org",
    guard_rails=GuardRails(12.5, 100, 5),
    updated_at=datetime(2026, 6, 1, tzinfo=UTC),
    version=1,
)


@dataclass
class Port:
    """What the suite holds to its word."""

    settings: StoredSettings
    transactions: Transactions

    async def put(self, settings: OrgSettings) -> None:
        async def work(tx: Tx) -> None:
            await self.settings.put(tx, settings)

        await self.transactions.run(work)


@pytest.fixture(params=["fake", "mongo"])
def port(request: pytest.FixtureRequest, audience: Any, wiring: Wiring) -> Port:
    """The port, once in memory and once in MongoDB."""
    world = audience if request.param == "fake" else wiring
    return Port(world.org_settings, world.transactions)


async def test_settings_come_back_as_they_were_stored_and_are_defaults_before(port: Port) -> None:
    assert await port.settings.of("acme") == OrgSettings("acme")
    await port.put(FIRST)
    assert await port.settings.of("acme") == FIRST
    assert await port.settings.of("other") == OrgSettings("other")
    bare = OrgSettings("acme", updated_at=FIRST.updated_at, version=2)
    await port.put(bare)
    assert await port.settings.of("acme") == bare


async def test_a_version_whose_predecessor_is_gone_is_not_stored(port: Port) -> None:
    await port.put(FIRST)
    with pytest.raises(Collision):
        await port.put(replace(FIRST, currency="CHF"))
    with pytest.raises(Collision):
        await port.put(replace(FIRST, currency="CHF", version=3))
    assert await port.settings.of("acme") == FIRST
