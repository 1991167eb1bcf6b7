"""Contacts are cut into shards of one bot and one clock, each contact into one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any, cast

from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.application.await_hours import AwaitHours
from execution_service.application.cut_shards import Cut, CutShards, Cutting
from execution_service.domain.contact import Addressee
from execution_service.domain.execution import Execution
from execution_service.domain.org_settings import OrgSettings, QuietHours
from hypothesis import given
from hypothesis import strategies as st
from service_kit.testing.fakes import FixedClock

NOW = datetime(2026, 1, 15, 21, 30, tzinfo=UTC)
"""Winter: Berlin and Lagos show the same, 22:30; it is 03:00 in Kolkata, and noon in Honolulu."""
ZONES = ("Europe/Berlin", "Africa/Lagos", "Asia/Kolkata", "Pacific/Honolulu", None)
NIGHT = OrgSettings("acme", quiet_hours=QuietHours(time(22), time(8)), timezone="Asia/Tokyo", version=3)


class World:
    """Settings, and contacts with a time zone each; one was erased."""

    def __init__(self, settings: OrgSettings, zones: Sequence[str | None]) -> None:
        self.settings = settings
        self.zones = {f"con_{number}": zone for number, zone in enumerate(zones)}
        self.read = 0

    async def of(self, org: str, execution_id: str) -> OrgSettings:
        return self.settings

    async def addressees(
        self, org: str, ids: Sequence[str], fields: frozenset[str]
    ) -> Mapping[str, Addressee]:
        self.read += len(ids)
        return {name: Addressee(1, False, {}, timezone=self.zones[name]) for name in ids if name != "con_0"}


def execution(bots: int) -> Execution:
    snapshot = ExecutionSnapshot(
        messages=[FrozenMessage(id="msg", content="Hi")],
        audience=AudienceDefinition(),
        options=ExecutionOptions(),
        sampling_seed="s",
        bot_ids=[f"bot_{number}" for number in range(bots)],
    )
    return Execution("exec_1", "acme", "camp_1", "planning", snapshot, NOW)


def cut(world: World, *, bots: int = 1, most: int = 1_000) -> tuple[list[Cut[str]], Cutting]:
    port = cast(Any, world)
    clock = FixedClock(NOW)
    cutter = CutShards(hours=AwaitHours(settings=port, audience=port, clock=clock), clock=clock, most=most)
    cutting = cutter.begin(execution(bots))
    cuts = asyncio.run(cutter(execution(bots), list(world.zones), cutting, shards=0, by=str))
    return cuts, cutting


@given(
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=200),
    bots=st.integers(1, 3),
    most=st.integers(5, 60),
)
def test_everybody_is_in_one_shard_of_their_clock(zones: list[str | None], bots: int, most: int) -> None:
    world = World(NIGHT, zones)
    cuts, cutting = cut(world, bots=bots, most=most)
    assert sorted(name for one in cuts for name in one.contacts) == sorted(world.zones)
    for one in cuts:
        clocks = {world.zones[name] if name != "con_0" else None for name in one.contacts}
        assert clocks <= {"Europe/Berlin", "Africa/Lagos"} or len(clocks) == 1
        assert len(one.contacts) <= 1.5 * most + 1
        numbers = [int(name[4:]) for name in one.contacts]
        assert numbers == sorted(numbers)
        assert one.hours.timezone in clocks
        assert (one.hours.held is None) == ("Pacific/Honolulu" in clocks)
    assert bots <= cutting.kinds <= max(bots, len(cuts))
    assert cutting.enough(0) == cutting.size(0) * cutting.kinds


def test_a_shard_waits_until_its_clock_shows_the_end() -> None:
    cuts, _ = cut(World(NIGHT, ["Asia/Kolkata", *ZONES]))
    held = {one.hours.timezone: one.hours.held for one in cuts}
    assert {zone: found and (found.count, found.until) for zone, found in held.items()} == {
        "Europe/Berlin": (2, datetime(2026, 1, 16, 7, tzinfo=UTC)),
        "Asia/Kolkata": (1, datetime(2026, 1, 16, 2, 30, tzinfo=UTC)),
        "Pacific/Honolulu": None,
        None: (2, datetime(2026, 1, 15, 23, tzinfo=UTC)),  # Tokyo's: one without a time zone, one erased
    }
    assert {found.edition for found in held.values() if found} == {(1 << 32) + 3}


def test_on_the_organisations_clock_or_without_quiet_hours_nobodys_time_zone_is_read() -> None:
    for settings in (replace(NIGHT, timezone_mode="org"), replace(NIGHT, quiet_hours=None)):
        world = World(settings, ZONES)
        cuts, _ = cut(world)
        assert (len(cuts), world.read) == (1, 0)
        assert (cuts[0].hours.held is None) == (settings.quiet_hours is None)
