"""A campaign's statistics: whose they are, waiting for a young one, and answers that are kept."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.ids import created_at, new_id
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from stats_service.application.answer_cache import OWN_BYTES, AnswerCache, Made
from stats_service.application.get_statistics import Asked, GetStatistics
from stats_service.application.make_answer import Answer
from stats_service.domain.dimensions import ALL, Kind, Line
from stats_service.domain.errors import CampaignNotFound
from stats_service.domain.periods import Period
from stats_service.domain.question import question
from stats_service.entrypoints.api.schemas import encode

Json = dict[str, Any]
CAMPAIGN = new_id("camp")
MADE = created_at(CAMPAIGN) or datetime.now(UTC)
NOON = MADE.replace(hour=12, minute=0, second=0) + timedelta(days=30)
MINUTE = int(NOON.timestamp()) // 60


@dataclass
class World:
    """The use case on fakes; `waited` seconds were let pass, `encoded` answers were made."""

    books: Any
    clock: FixedClock
    cache_bytes: int = 2**20
    waited: float = 0
    encoded: int = 0
    appears_after: float | None = None
    told: list[str] = field(default_factory=list)
    get: GetStatistics = field(init=False)

    def __post_init__(self) -> None:
        self.get = GetStatistics(
            books=self.books,
            transactions=InMemoryTransactions(),
            clock=self.clock,
            pause=self.pause,
            encode=self.encode,
            cache_bytes=self.cache_bytes,
            told=self.told.append,
        )

    def encode(self, answer: Answer) -> bytes:
        self.encoded += 1
        return encode(answer)

    async def pause(self, seconds: float, /) -> None:
        self.clock.advance(seconds)
        self.waited += seconds
        if self.appears_after is not None and self.waited >= self.appears_after:
            self.books.know(CAMPAIGN)

    async def ask(
        self, campaign: str = CAMPAIGN, *, org: str = "acme", deleted_too: bool = False, period: str = "all",
        metrics: str = "all", timezone: str = "UTC",
    ) -> Json:  # fmt: skip
        asked = Asked(campaign, org, question(Period(period), metrics, timezone))
        data: Json = json.loads(await self.get(asked, deleted_too=deleted_too))["data"]
        return data

    async def sent(self, **asked: Any) -> int:
        return int((await self.ask(**asked))["overview"]["messagesSent"])


@pytest.fixture
def world(books: Any) -> World:
    """A month after the campaign was made, but for tests of its youth."""
    return World(books, FixedClock(NOON))


@pytest.fixture
def young(books: Any) -> World:
    return World(books, FixedClock(MADE + timedelta(seconds=1)))


async def test_a_campaign_without_numbers_answers_zeros_and_all_that_is_known_of_it(world: World) -> None:
    world.books.know(CAMPAIGN, segments=("seg1",), messages=(("m1", ()),), budget=10.0)
    answer = await world.ask()
    assert answer["overview"]["messagesSent"] == answer["performance"]["deliveryRate"] == 0
    assert (answer["timeline"], answer["errors"]) == ([], [])
    assert [segment["segmentId"] for segment in answer["segments"]] == ["seg1"]
    assert [variation["messageId"] for variation in answer["variations"]] == ["m1"]
    assert answer["cost"] == {
        "total": 0, "perMessage": 0, "currency": "USD", "budget": 10, "remaining": 10,
    }  # fmt: skip
    assert world.waited == 0


async def test_another_organisations_campaign_is_not_found_and_not_waited_for(world: World) -> None:
    world.books.know(CAMPAIGN)
    with pytest.raises(CampaignNotFound):
        await world.ask(org="other")
    assert world.waited == 0 == world.encoded


async def test_a_deleted_campaign_is_found_only_by_who_may_see_deleted_ones(world: World) -> None:
    world.books.know(CAMPAIGN)
    assert await world.sent() == 0
    world.books.know(CAMPAIGN, deleted=True)
    assert await world.sent(deleted_too=True) == 0
    with pytest.raises(CampaignNotFound):
        await world.ask()
    with pytest.raises(CampaignNotFound):
        await world.ask(org="other", deleted_too=True)
    assert world.waited == 0


async def test_a_young_unknown_campaign_is_waited_for(young: World) -> None:
    young.appears_after = 0.5
    assert await young.sent() == 0
    assert 0.5 <= young.waited < 0.7


async def test_a_young_campaign_that_never_comes_is_not_found_after_two_seconds(young: World) -> None:
    with pytest.raises(CampaignNotFound):
        await young.ask()
    assert 2 <= young.waited < 2.2


@pytest.mark.parametrize("identifier", ["camp_x", "", "camp_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
async def test_an_id_that_is_old_or_not_ours_is_not_waited_for(identifier: str, world: World) -> None:
    with pytest.raises(CampaignNotFound):
        await world.ask(identifier)
    assert world.waited == 0


async def test_what_did_not_change_is_answered_from_memory(world: World) -> None:
    world.books.know(CAMPAIGN)
    world.books.count((MINUTE, ALL, "sent", 3), campaign=CAMPAIGN)
    for period in Period:
        for _ in range(3):
            assert await world.sent(period=str(period)) == 3
    assert world.encoded == len(Period)
    assert world.told == ["made", "kept", "kept"] * len(Period)


async def test_a_changed_number_is_seen_at_once(world: World) -> None:
    world.books.know(CAMPAIGN)
    for total in range(1, 4):
        world.books.count((MINUTE, ALL, "sent", 1), campaign=CAMPAIGN)
        for period in Period:
            assert await world.sent(period=str(period)) == total
    world.books.facts.clear()
    world.books.know(CAMPAIGN, version=1)
    assert await world.sent() == 0, "another version of the book holds"


async def test_everything_that_an_answer_shows_is_seen_at_once(world: World) -> None:
    world.books.know(CAMPAIGN)
    world.books.count((MINUTE, Line(Kind.SEGMENT, "seg2"), "sent", 1), campaign=CAMPAIGN)

    async def names() -> list[str]:
        return [segment["name"] for segment in (await world.ask())["segments"]]

    assert await names() == ["seg2"]
    world.books.called["acme", "seg2"] = "Two"
    assert await names() == ["Two"]
    world.books.know(CAMPAIGN, segments=("seg1",))
    assert await names() == ["seg1", "Two"]
    world.books.called["acme", "seg1"] = "One"
    world.books.called["acme", "seg2"] = "Zwei"
    assert await names() == ["One", "Zwei"]
    before = world.encoded
    world.books.called["acme", "seg3"] = "of another campaign"
    assert await names() == ["One", "Zwei"] and world.encoded == before
    world.books.know(CAMPAIGN, budget=5.0)
    assert (await world.ask())["cost"]["budget"] == 5
    world.books.know(CAMPAIGN, cost_per_message=0.5, currency="EUR")
    assert (await world.ask())["cost"]["perMessage"] == 0.5
    world.books.know(CAMPAIGN, messages=(("m1", ()),))
    assert [one["messageId"] for one in (await world.ask())["variations"]] == ["m1"]


@pytest.mark.parametrize(
    ("period", "passes"), [("1h", 60), ("24h", 3600), ("7d", 12 * 3600), ("30d", 12 * 3600)]
)
async def test_a_period_moves_on_though_nothing_changed(world: World, period: str, passes: int) -> None:
    world.books.know(CAMPAIGN)
    first = (await world.ask(period=period))["timeline"]
    world.clock.advance(passes - 1)
    assert (await world.ask(period=period))["timeline"] == first and world.encoded == 1
    world.clock.advance(1)
    moved = (await world.ask(period=period))["timeline"]
    assert moved[:-1] == first[1:] and world.encoded == 2


async def test_many_who_ask_at_once_cost_one_answer(world: World) -> None:
    world.books.know(CAMPAIGN)
    world.books.count((MINUTE, ALL, "sent", 2), campaign=CAMPAIGN)
    assert await asyncio.gather(*(world.sent() for _ in range(16))) == [2] * 16
    assert (world.encoded, world.books.reads) == (1, ["stamp", "answer"])


async def test_answers_that_are_too_many_are_made_again(books: Any) -> None:
    world = World(books, FixedClock(NOON), cache_bytes=8_000)
    books.know(CAMPAIGN)
    zones = ["UTC", "Asia/Tokyo", "Europe/Berlin", "Asia/Kolkata"]
    for zone in zones * 2:
        await world.ask(timezone=zone)
    assert world.encoded == len(zones) * 2
    await world.ask(timezone=zones[-1])
    assert world.encoded == len(zones) * 2


def test_the_least_used_answers_go_first_and_the_bytes_stay_within_the_limit(books: Any) -> None:
    cache, stamp = AnswerCache(100_000), books.know(CAMPAIGN)

    def made(size: int) -> Made:
        return Made(bytes(size - OWN_BYTES), stamp, 0, (), {})

    def kept(keys: str) -> str:
        return "".join(key for key in keys if cache.get(key))

    for key in "abc":
        cache.put(key, made(30_000))
    assert cache.get("a") is not None
    cache.put("d", made(30_000))
    assert kept("abcd") == "acd"
    cache.put("d", made(40_000))
    assert kept("acd") == "acd"
    cache.put("e", made(100_001))
    cache.put("a", made(100_001))
    assert kept("acde") == "cd", "what is too large is not kept at all"
    cache.put("f", made(100_000))
    assert kept("cdf") == "f"


def test_small_answers_are_not_kept_without_end(books: Any) -> None:
    cache, stamp = AnswerCache(10 * OWN_BYTES), books.know(CAMPAIGN)
    for number in range(100):
        cache.put(number, Made(b"", stamp, 0, (), {}))
    assert [number for number in range(100) if cache.get(number)] == list(range(90, 100))
