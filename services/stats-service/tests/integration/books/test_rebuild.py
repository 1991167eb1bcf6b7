"""A campaign counted again into the next version of its book: whoever dies, whatever is counted meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from chaos.histories import Size, history
from service_kit.testing.fakes import Died
from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.application.ports_rebuild import Superseded
from stats_service.application.rebuild_book import NotRebuilt
from stats_service.domain.dimensions import ALL

pytestmark = pytest.mark.integration
SIZE = Size(campaigns=3, outcomes=450, window=15, engagements=90)
CAMPAIGN = 2
"""The number of one that has everything: it was introduced, and is deleted in the end."""


class Story:
    """A small history, and what it adds up to."""

    def __init__(self, recounted: Any) -> None:
        self.messages = history(11, SIZE, datetime.now(UTC))
        self.books = recounted(self.messages)
        keys = dict.fromkeys(message.key for message in self.messages)
        self.campaign = next(key for key in keys if b"c2-" in b"".join(self.of(key)))

    def of(self, campaign: str) -> Iterable[bytes]:
        return (message.body for message in self.messages if message.key == campaign)

    @property
    def book(self) -> Any:
        return self.books[self.campaign]


@pytest.fixture
def story(recounted: Any) -> Story:
    return Story(recounted)


async def tamper(desk: Any, campaign: str) -> None:
    """Make some numbers of a campaign wrong."""
    book = await desk.shelf.book_of(campaign)
    await desk.database["totals"].update_one({"_id": f"{book}/a"}, {"$inc": {"sent": 5, "unknown": -1}})
    await desk.database["days"].delete_many({"_id": {"$gte": f"{book}/m", "$lt": f"{book}/n"}})


class Mortal:
    """Wraps parts of which each call is a step; dies before or after the step whose turn it is."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    def __call__(self, part: Any) -> Any:
        return _Mortal(self, part)

    def step(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Died


class _Mortal:
    def __init__(self, life: Mortal, part: Any) -> None:
        self._life, self._part = life, part

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)

        async def step(*args: Any, **options: Any) -> Any:
            self._life.step()
            answer = await method(*args, **options)
            self._life.step()
            return answer

        async def steps(*args: Any) -> AsyncIterator[Any]:
            self._life.step()
            async for item in method(*args):
                yield item
                self._life.step()

        return steps if name == "names" else step


async def test_whoever_dies_at_any_step_leaves_one_whole_book_and_the_next_run_makes_it_right(
    desk: Any, story: Story
) -> None:
    desk.publish(story.messages)
    await desk.fold()
    await tamper(desk, story.campaign)
    wrong = await desk.shelf.totals(await desk.shelf.book_of(story.campaign))
    assert wrong != story.book.totals
    deaths = 0
    while True:
        try:
            await desk.rebuild(story.campaign, Mortal(lives=deaths))
            break
        except Died:
            deaths += 1
        book = await desk.shelf.book_of(story.campaign)
        if await desk.shelf.totals(book) != wrong:
            await desk.shelf.equals(story.campaign, story.book)
    assert deaths > 20
    await desk.shelf.equals(story.campaign, story.book)
    assert await desk.rows_outside(story.campaign) == []
    row = await desk.database["numbers"].find_one({"_id": story.campaign})
    assert row["dirty"]


async def test_other_campaigns_are_left_alone_and_another_run_changes_nothing(
    desk: Any, story: Story
) -> None:
    desk.publish(story.messages)
    await desk.fold()
    for _ in range(2):
        done = await desk.rebuild(story.campaign)
        assert done.before == done.after == story.book.totals
    for campaign, book in story.books.items():
        await desk.shelf.equals(campaign, book)
    assert done.version == 2


async def test_what_is_counted_live_at_the_same_time_is_neither_lost_nor_doubled(
    desk: Any, story: Story
) -> None:
    """More arrives and is counted before many steps, and before the swap sees how far the live fold is."""
    pieces = [story.messages[at : at + 10] for at in range(0, len(story.messages), 10)]
    for piece in pieces[: len(pieces) // 2]:
        desk.publish(piece)
    await desk.fold()
    await tamper(desk, story.campaign)
    left = pieces[len(pieces) // 2 :]
    swaps = 0

    class Busy(_Mortal):
        def __getattr__(self, name: str) -> Any:
            method = getattr(self._part, name)

            async def step(*args: Any, **options: Any) -> Any:
                nonlocal swaps
                swaps += name == "all_in"
                if left and (name == "all_in" or len(left) > 4):
                    desk.publish(left.pop(0))
                    await desk.fold()
                return await method(*args, **options)

            return step if name in ("all_in", "missing", "begin", "read") else method

    await desk.rebuild(story.campaign, lambda part: Busy(Mortal(0), part))
    assert (swaps, left) == (5, [])
    await desk.shelf.equals(story.campaign, story.book)


async def test_a_live_fold_that_read_the_version_before_the_swap_counts_into_the_new_book(
    desk: Any, story: Story
) -> None:
    half = len(story.messages) // 2
    desk.publish(story.messages[:half])
    await desk.fold()
    knows, swapped = asyncio.Event(), asyncio.Event()

    class Slow(MongoLedger):
        async def known(self, *args: Any) -> Any:
            known = await super().known(*args)
            if story.campaign in known.versions:
                knows.set()
                await swapped.wait()
            return known

    desk.publish(story.messages[half:])
    folding = asyncio.create_task(desk.fold(Slow(desk.database, clock=desk.ledger._clock)))
    await knows.wait()
    await desk.rebuild(story.campaign)
    swapped.set()
    await folding
    assert await desk.shelf.book_of(story.campaign) == f"{story.campaign}~1"
    await desk.shelf.equals(story.campaign, story.book)


async def test_a_live_fold_beside_the_swap_waits_for_it_or_makes_it_wait(desk: Any, story: Story) -> None:
    half = len(story.messages) // 2
    desk.publish(story.messages[:half])
    await desk.fold()
    folding: list[asyncio.Task[None]] = []

    class Beside(_Mortal):
        def __getattr__(self, name: str) -> Any:
            method = getattr(self._part, name)

            async def swap(*args: Any) -> None:
                await method(*args)
                if not folding:  # the swap is written, and not committed
                    desk.publish(story.messages[half:])
                    folding.append(asyncio.create_task(desk.fold()))
                    await asyncio.wait(folding, timeout=0.3)

            return swap if name == "swap" else method

    await desk.rebuild(story.campaign, lambda part: Beside(Mortal(0), part))
    await folding[0]
    await desk.shelf.equals(story.campaign, story.book)


class Interrupted(_Mortal):
    """Does `meanwhile` once, before the call of `method` whose turn it is: the first is 1."""

    def __init__(self, part: Any, method: str, turn: int, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(Mortal(0), part)
        self._method, self._turn, self._meanwhile = method, turn, meanwhile

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)

        async def step(*args: Any, **options: Any) -> Any:
            self._turn -= 1
            if self._turn == 0:
                await self._meanwhile()
            return await method(*args, **options)

        return step if name == self._method else method


@pytest.mark.parametrize(("method", "steps"), [("clear_others", 1_000), ("missing", 4), ("swap", 4)])
async def test_of_two_who_count_a_campaign_again_the_first_one_stops_and_removes_nothing(
    desk: Any, story: Story, method: str, steps: int
) -> None:
    """The other one begins before some step of the first, and comes some steps far before that goes on."""
    desk.publish(story.messages)
    await desk.fold()

    async def another_one() -> None:
        with suppress(Died):
            await desk.rebuild(story.campaign, Mortal(lives=steps))

    with pytest.raises(Superseded):
        await desk.rebuild(story.campaign, lambda part: Interrupted(part, method, 1, another_one))
    await desk.shelf.equals(story.campaign, story.book)
    assert (await desk.rebuild(story.campaign)).version == (1 if steps == 4 else 2)
    await desk.shelf.equals(story.campaign, story.book)


async def test_who_is_held_up_before_the_last_removal_removes_no_book_that_came_later(
    desk: Any, story: Story
) -> None:
    desk.publish(story.messages)
    await desk.fold()

    async def another_one() -> None:
        assert (await desk.rebuild(story.campaign)).version == 2

    done = await desk.rebuild(story.campaign, lambda part: Interrupted(part, "clear_others", 2, another_one))
    assert done.version == 1
    assert await desk.shelf.book_of(story.campaign) == f"{story.campaign}~2"
    await desk.shelf.equals(story.campaign, story.book)
    assert await desk.rows_outside(story.campaign) == []


async def test_what_others_told_before_the_campaign_was_known_is_counted_out(desk: Any, story: Story) -> None:
    """Nobody could know that it is foreign; counting again does, and is not held up by its being gone."""
    mine = [message for message in story.messages if message.key == story.campaign]
    foreign = [
        message._replace(
            body=message.body.replace(b'"orgid":"acme"', b'"orgid":"evil"').replace(b"_1_", b"_9_")
        )
        for message in mine
        if message.topic != "campaign-events"
    ]
    desk.publish(foreign)
    await desk.fold()
    desk.publish(mine)
    await desk.fold()
    assert await desk.shelf.totals(await desk.shelf.book_of(story.campaign)) != story.book.totals
    await desk.rebuild(story.campaign)
    await desk.shelf.equals(story.campaign, story.book)


@pytest.mark.parametrize("position", ["given-up-topic:0", "delivery-events:77"])
async def test_a_position_of_what_is_not_followed_any_more_does_not_hold_it_up(
    desk: Any, story: Story, position: str
) -> None:
    desk.publish(story.messages)
    await desk.fold()
    await desk.database["positions"].insert_one({"_id": position, "offset": 5})
    if position.startswith("delivery"):
        with pytest.raises(NotRebuilt, match=position):
            await desk.rebuild(story.campaign)
        return
    await desk.rebuild(story.campaign)
    await desk.shelf.equals(story.campaign, story.book)


@pytest.mark.parametrize("topic", ["delivery-events", "execution-events", "engagement-events", "all"])
async def test_a_log_that_has_lost_something_is_refused_and_nothing_changes(
    desk: Any, story: Story, topic: str
) -> None:
    desk.publish(story.messages)
    await desk.fold()
    await tamper(desk, story.campaign)
    book = await desk.shelf.book_of(story.campaign)
    before = await desk.shelf.totals(book)
    for partition, records in desk.log.kept.items():
        if topic in (partition.topic, "all"):
            desk.log.kept[partition] = [replace(record, value=None) for record in records]
    with pytest.raises(NotRebuilt, match="no longer holds"):
        await desk.rebuild(story.campaign)
    assert await desk.shelf.book_of(story.campaign) == book
    assert await desk.shelf.totals(book) == before
    assert await desk.rows_outside(story.campaign) == []


async def test_without_the_campaigns_first_event_nobody_knows_what_else_is_gone(
    desk: Any, story: Story
) -> None:
    later = [message for message in story.messages if b"campaign.created" not in message.body]
    desk.publish(later)
    await desk.fold()
    with pytest.raises(NotRebuilt, match="first event"):
        await desk.rebuild(story.campaign)


async def test_a_campaign_without_numbers_gets_an_empty_book(desk: Any, story: Story) -> None:
    only = [message for message in story.messages if message.topic == "campaign-events"]
    desk.publish(only)
    await desk.fold()
    done = await desk.rebuild(story.campaign)
    assert (done.version, dict(done.after)) == (1, {})
    desk.publish(message for message in story.messages if message not in only)
    await desk.fold()
    await desk.shelf.equals(story.campaign, story.book)
    assert story.book.totals[ALL, "sent"] > 0
