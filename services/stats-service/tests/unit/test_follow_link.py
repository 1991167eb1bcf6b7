"""Who follows a tracking link is sent on to where the campaign's button leads, and nowhere else."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.envelope import AnyEvent
from contracts.tracking import CLICK_ID, Tracked, TrackedClick, TrackingKeys
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import DependencyDown
from service_kit.testing.fakes import FixedClock
from stats_service.adapters.link_machines import LinkMachines
from stats_service.application.follow_link import LOOKS, Visitor, follow_link
from stats_service.domain.errors import LinkNotFound
from stats_service.domain.facts import FrozenLink

KEYS = TrackingKeys(f"k1:{base64.b64encode(b'1' * 32).decode()}")
STRANGER = TrackingKeys(f"k1:{base64.b64encode(b'2' * 32).decode()}")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINK = FrozenLink("exec_1", "ab" * 8, "camp_1", "acme", "msg_1", 2, "https://shop.example/?a=1#b")
TOKEN = KEYS.sign(Tracked("exec_1", LINK.link, "con_1"))
MACHINES = LinkMachines()
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
PERSON = Visitor(PHONE)


class World:
    """Links, and who clicked; a link is there from look number `from_look` on."""

    def __init__(self, link: FrozenLink | None = LINK, *, from_look: int = 1) -> None:
        self.link = link
        self.from_look = from_look
        self.looks = 0
        self.noted: list[AnyEvent] = []
        self.told: list[str] = []

    async def get(self, execution: str, link: str) -> FrozenLink | None:
        self.looks += 1
        known = self.link and (self.link.execution, self.link.link) == (execution, link)
        return self.link if known and self.looks >= self.from_look else None

    async def note(self, event: AnyEvent) -> None:
        self.noted.append(event)

    async def pause(self, seconds: float) -> None:
        assert seconds > 0

    async def follow(self, token: str = TOKEN, visitor: Visitor = PERSON) -> str:
        return await follow_link(
            token, visitor, keys=KEYS, links=self, clicks=self, machines=MACHINES, told=self.told.append,
            clock=FixedClock(NOW), pause=self.pause,
        )  # fmt: skip


async def test_a_click_leads_to_the_buttons_address_and_is_told() -> None:
    world = World()
    assert await world.follow() == "https://shop.example/?a=1#b"
    assert world.told == ["click"]
    [event] = world.noted
    assert (event.type, event.subject, event.orgid, event.time) == (
        "engagement.clicked",
        "camp_1",
        "acme",
        NOW,
    )
    assert event.data.model_dump(exclude={"clicked_at"}) == {
        "campaign_id": "camp_1", "execution_id": "exec_1", "test_mode": False, "message_id": "msg_1",
        "contact_id": "con_1", "button": 2, "url": "https://shop.example/?a=1#b",
    }  # fmt: skip


async def test_each_click_is_an_event_of_its_own() -> None:
    world = World()
    await world.follow()
    await world.follow()
    assert len({event.id for event in world.noted}) == 2


@pytest.mark.parametrize(
    ("visitor", "told"),
    [
        (Visitor("TelegramBot (like TwitterBot)"), "machine"),
        (Visitor("curl/8.5.0", prefetch=True), "prefetch"),
        (Visitor(PHONE, prefetch=True), "prefetch"),
        (Visitor(PHONE, head=True), "head"),
        (Visitor(PHONE, prefetch=True, head=True), "head"),
    ],
)
async def test_who_looks_at_a_link_for_somebody_is_sent_on_and_is_nobodys_click(
    visitor: Visitor, told: str
) -> None:
    world = World()
    assert await world.follow(visitor=visitor) == LINK.url
    assert (world.noted, world.told) == ([], [told])


async def test_who_does_not_say_what_it_is_is_a_click() -> None:
    world = World()
    await world.follow(visitor=Visitor())
    assert len(world.noted) == 1


@pytest.mark.parametrize("visitor", [Visitor(PHONE), Visitor("Twitterbot/1.0"), Visitor(PHONE, head=True)])
async def test_where_the_address_has_its_place_the_click_takes_its_id_along(visitor: Visitor) -> None:
    """For machines too: a person may go on from what was fetched for it."""
    world = World(replace(LINK, url=f"https://shop.example/{CLICK_ID}?b=[2]#c"))
    before, after = (await world.follow(visitor=visitor)).split("?")
    assert after == "b=[2]#c"
    click_id = before.removeprefix("https://shop.example/")
    assert KEYS.read_click(click_id) == TrackedClick(Tracked("exec_1", LINK.link, "con_1"), NOW)
    assert all(event.data.url == f"https://shop.example/{CLICK_ID}?b=[2]#c" for event in world.noted)


@pytest.mark.parametrize(
    "token",
    ["https://evil.example", "//evil.example", "k1.https://evil.example", "", ".", "k1.", "../../etc/passwd",
     TOKEN[:-1], TOKEN + "A", TOKEN.upper(), TOKEN.replace("k1.", "k2."), TOKEN + "?url=https://evil.example",
     STRANGER.sign(Tracked("exec_1", LINK.link, "con_1")),
     KEYS.sign_click(TrackedClick(Tracked("exec_1", LINK.link, "con_1"), NOW))],
)  # fmt: skip
async def test_what_is_no_token_of_ours_leads_nowhere_and_is_not_even_looked_up(token: str) -> None:
    world = World()
    with pytest.raises(LinkNotFound):
        await world.follow(token)
    assert (world.looks, world.noted, world.told) == (0, [], ["refused"])


@given(st.text(max_size=200))
async def test_no_text_leads_anywhere(text: str) -> None:
    with pytest.raises(LinkNotFound):
        await World().follow(text)


async def test_a_link_that_is_not_heard_of_yet_is_waited_for() -> None:
    world = World(from_look=3)
    assert await world.follow() == LINK.url
    assert (world.looks, len(world.noted)) == (3, 1)


@pytest.mark.parametrize("tracked", [Tracked("exec_2", LINK.link, "c"), Tracked("exec_1", "cd" * 8, "c")])
async def test_a_link_of_another_execution_or_of_none_never_leads_to_this_ones(tracked: Any) -> None:
    world = World()
    with pytest.raises(DependencyDown):
        await world.follow(KEYS.sign(tracked))
    assert (world.looks, world.noted, world.told) == (LOOKS, [], ["not_known"])
