"""A conversion is there once and told once, whatever dies, races or is said again."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.events.engagement import EngagementConverted
from contracts.ids import new_id
from contracts.tracking import Tracked, TrackedClick, TrackingKeys
from service_kit.errors import DependencyDown, FieldErrors
from service_kit.ports import Transactions, Tx
from service_kit.testing.fakes import (
    Died,
    DyingTransactions,
    FixedClock,
    InMemoryOutbox,
    InMemoryTransactions,
    staged,
)
from stats_service.application.get_conversion import get_conversion
from stats_service.application.ports import Owner
from stats_service.application.ports_conversions import ConversionExists
from stats_service.application.record_conversion import ConversionTold, OfContact, RecordConversion, Recorded
from stats_service.domain.conversion import Conversion
from stats_service.domain.errors import ConversionNotFound
from stats_service.domain.facts import FrozenLink

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS, STRANGER = (TrackingKeys(f"k1:{base64.b64encode(bytes([n]) * 32).decode()}") for n in (1, 2))
LINK = FrozenLink("exec_1", "ab" * 8, "camp_1", "acme", "msg_1", 2, "https://shop.example/?a={{clickId}}")
CLICKED = NOW - timedelta(hours=1)
TRACKED = Tracked("exec_1", LINK.link, "con_1")
CLICK_ID = KEYS.sign_click(TrackedClick(TRACKED, CLICKED))
OF_CLICK = ConversionTold(CLICK_ID, 499_000, "EUR", NOW, "order-1")
OF_CONTACT = ConversionTold(OfContact("camp_1", "con_1"), external_id="order-1")


class World:
    """Links, campaigns, currencies and conversions; campaign and currency are heard of at look `from_look`."""

    def __init__(self, *, from_look: int = 1, link: FrozenLink = LINK) -> None:
        self.rows: dict[str, Conversion] = {}
        self.erased: set[str | None] = set()
        self.outbox = InMemoryOutbox()
        self.link = link
        self.looks = 0
        self.from_look = from_look
        self.pauses = 0
        self.before_add: Callable[[], None] = lambda: None

    async def get(self, one: str, two: str) -> Any:
        if one == "exec_1":
            return self.link if two == LINK.link else None
        row = self.rows.get(two)
        return row if row is not None and row.org == one else None

    async def add(self, tx: Tx, conversion: Conversion) -> Conversion:
        self.before_add()
        if conversion.id in self.rows:
            raise ConversionExists
        stored = replace(conversion, contact=None) if conversion.contact in self.erased else conversion
        staged(tx, lambda: self.rows.update({conversion.id: stored}))
        return stored

    async def owner_of(self, campaign: str) -> Owner | None:
        self.looks += 1
        return Owner("acme", campaign == "camp_gone") if self.looks >= self.from_look else None

    async def currency_of(self, org: str) -> str:
        self.looks += 1
        return "EUR" if self.looks >= self.from_look else "USD"

    async def pause(self, seconds: float) -> None:
        self.pauses += 1

    async def tell(
        self, told: ConversionTold = OF_CLICK, *, org: str = "acme", transactions: Transactions | None = None
    ) -> Recorded:
        record = RecordConversion(
            keys=KEYS, links=self, campaigns=self, currencies=self, conversions=self, outbox=self.outbox,
            clock=FixedClock(NOW), pause=self.pause,
        )  # fmt: skip
        return await record(told, org=org, transactions=transactions or InMemoryTransactions())

    @property
    def told(self) -> list[EngagementConverted]:
        return [event.data for event in self.outbox.events]


async def test_a_conversion_of_a_click_says_whose_it_is_and_what_led_to_it() -> None:
    world = World()
    conversion, duplicate = await world.tell()
    assert not duplicate and world.rows == {conversion.id: conversion}
    [event] = world.outbox.events
    assert (event.type, event.subject, event.orgid) == ("engagement.converted", "camp_1", "acme")
    assert event.data.model_dump() == {
        "campaign_id": "camp_1", "conversion_id": conversion.id, "test_mode": False, "contact_id": "con_1",
        "value": 49.9, "currency": "EUR", "converted_at": NOW,
        "click": {"execution_id": "exec_1", "message_id": "msg_1", "clicked_at": CLICKED},
    }  # fmt: skip


async def test_a_conversion_of_a_contact_has_no_click_and_the_usual_for_what_is_not_said() -> None:
    world = World()
    await world.tell(ConversionTold(OfContact("camp_1", "con_9")))
    await world.tell(ConversionTold(OfContact("camp_1", "con_9")))
    [first, second] = world.told
    assert (first.contact_id, first.click, first.value, first.currency) == ("con_9", None, 0, "EUR")
    assert first.converted_at == NOW and first.conversion_id != second.conversion_id


async def test_an_erased_contact_is_not_kept_and_its_conversion_is_counted_as_the_persons() -> None:
    world = World()
    world.erased.add("con_1")
    recorded = await world.tell()
    assert recorded.conversion.contact is None and await world.tell() == recorded._replace(duplicate=True)
    assert [event.contact_id for event in world.told] == ["con_1"]


async def test_a_click_of_a_test_run_is_marked() -> None:
    world = World(link=replace(LINK, test_mode=True))
    assert (await world.tell()).conversion.test_mode and world.told[0].test_mode


async def test_who_tells_again_is_shown_the_first_one_whatever_is_said_this_time() -> None:
    world = World()
    first, _ = await world.tell()
    again = [OF_CLICK, OF_CONTACT, replace(OF_CLICK, whose="nothing", currency="XXX"),
             replace(OF_CLICK, occurred_at=NOW - timedelta(days=400))]  # fmt: skip
    assert [await world.tell(told) for told in again] == [Recorded(first, duplicate=True)] * 4
    assert len(world.told) == len(world.rows) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_who_dies_before_or_after_the_commit_and_tells_again_has_told_once(after: bool) -> None:
    world = World()
    with pytest.raises(Died):
        await world.tell(transactions=DyingTransactions(InMemoryTransactions(), lives=0, after=after))
    assert len(world.rows) == len(world.told) == after
    assert (await world.tell()).duplicate == after
    assert len(world.rows) == len(world.told) == 1


async def test_of_two_at_the_same_moment_one_is_recorded_and_both_are_shown_it() -> None:
    world = World()
    theirs = replace((await World().tell()).conversion, contact="con_2")
    world.before_add = lambda: world.rows.update({theirs.id: theirs})
    assert await world.tell() == Recorded(theirs, duplicate=True)
    assert world.told == []


async def test_who_is_never_shown_what_is_in_the_way_is_told_to_try_again() -> None:
    world = World()

    def uncommitted() -> None:
        raise ConversionExists

    world.before_add = uncommitted
    with pytest.raises(DependencyDown):
        await world.tell()
    assert world.told == [] and world.pauses > 1


REFUSED = [
    ("clickId", {"whose": "nothing"}),
    ("clickId", {"whose": KEYS.sign(TRACKED)}),
    ("clickId", {"whose": STRANGER.sign_click(TrackedClick(TRACKED, CLICKED))}),
    ("clickId", {"whose": CLICK_ID + "A"}),
    ("currency", {"currency": "USD"}),
    ("currency", {"currency": "XXX"}),
    ("occurredAt", {"occurred_at": NOW + timedelta(minutes=6)}),
    ("occurredAt", {"occurred_at": NOW - timedelta(days=91)}),
    ("occurredAt", {"occurred_at": CLICKED - timedelta(minutes=6)}),
]


@pytest.mark.parametrize(("field", "change"), REFUSED)
async def test_what_cannot_be_is_refused_by_field_and_nothing_is_kept(
    field: str, change: dict[str, Any]
) -> None:
    world = World()
    with pytest.raises(FieldErrors) as refused:
        await world.tell(replace(OF_CLICK, **change))
    assert [detail.field for detail in refused.value.details] == [field]
    assert world.rows == {} and world.told == []


@pytest.mark.parametrize(("field", "told"), [("clickId", OF_CLICK), ("campaignId", OF_CONTACT)])
async def test_another_organisations_click_or_campaign_is_as_none(field: str, told: ConversionTold) -> None:
    world = World()
    with pytest.raises(FieldErrors) as theirs:
        await world.tell(told, org="other")
    none = replace(told, whose="nothing" if told is OF_CLICK else OfContact("camp_none", "con_1"))
    unheard = World(from_look=10**6)
    with pytest.raises(FieldErrors) as nobodys:
        await unheard.tell(none, org="other")
    assert theirs.value.details == nobodys.value.details
    assert theirs.value.details[0].field == field


async def test_the_same_external_id_of_another_organisation_is_another_conversion() -> None:
    world = World(link=replace(LINK, org="acme"))
    mine, _ = await world.tell()
    world.link = replace(LINK, org="other")
    theirs, duplicate = await world.tell(org="other")
    assert not duplicate and mine.id != theirs.id
    assert await get_conversion("acme", mine.id, conversions=world) == mine
    with pytest.raises(ConversionNotFound):
        await get_conversion("other", mine.id, conversions=world)


async def test_a_campaign_that_is_a_moment_old_and_a_currency_that_was_just_changed_are_waited_for() -> None:
    world = World(from_look=3)
    young = new_id("camp")
    record = RecordConversion(
        keys=KEYS, links=world, campaigns=world, currencies=world, conversions=world, outbox=world.outbox,
        clock=FixedClock(datetime.now(UTC)), pause=world.pause,
    )  # fmt: skip
    told = ConversionTold(OfContact(young, "con_1"), currency="EUR")
    await record(told, org="acme", transactions=InMemoryTransactions())
    assert world.pauses == 2
    fresh = World(from_look=2)
    await fresh.tell(replace(OF_CLICK))
    assert fresh.pauses == 1


async def test_a_deleted_campaigns_conversions_are_recorded() -> None:
    """Its messages are in the chats as before."""
    world = World()
    await world.tell(ConversionTold(OfContact("camp_gone", "con_1")))
    assert [event.campaign_id for event in world.told] == ["camp_gone"]
