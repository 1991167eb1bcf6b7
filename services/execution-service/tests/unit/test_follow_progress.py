"""Followers of progress: one look for all of them, and nothing left behind."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from execution_service.application.follow_progress import FollowProgress, Question
from execution_service.domain.errors_engine import CampaignNotFound
from execution_service.domain.execution import ShardSums
from execution_service.domain.progress import IDLE, Progress
from service_kit.testing.waiting import eventually

QUESTION = Question("acme", "camp_1", None, deleted_too=False)
LONG = 3_600.0


def at(processed: int, status: Any = "running") -> Progress:
    return replace(IDLE, status=status, sums=ShardSums(10, {"successful": processed}))


class Scripted:
    """`ShowProgress`, as the test says; counts how often it is asked."""

    def __init__(self) -> None:
        self.answer: Progress | Exception = at(0)
        self.asked = 0

    async def progress(self, *_: Any, **__: Any) -> Progress:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def show() -> Scripted:
    return Scripted()


@pytest.fixture
def follow(show: Scripted) -> FollowProgress:
    return FollowProgress(show, seconds=0.001, quiet_seconds=LONG)  # type: ignore[arg-type]


async def followed(follow: FollowProgress, seen: Progress) -> list[Progress | None]:
    async with aclosing(follow.changes(QUESTION, seen, for_seconds=LONG)) as changes:
        return [change async for change in changes]


async def read(value: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    async def once() -> Any:
        return value()

    return await eventually(once, good, seconds=10, every=0.001)


async def test_a_hundred_followers_cost_the_looks_of_one(show: Scripted, follow: FollowProgress) -> None:
    followers = [asyncio.create_task(followed(follow, at(0))) for _ in range(100)]
    await read(lambda: show.asked, lambda asked: asked >= 3)
    assert follow.looking == 1
    before = show.asked
    show.answer = at(10, "completed")
    heard = await asyncio.gather(*followers)
    assert heard == [[at(10, "completed")]] * 100
    assert show.asked - before <= 2  # the look that saw it, and one that may have been under way
    assert follow.looking == 0


async def test_whoever_leaves_last_ends_the_looking(show: Scripted, follow: FollowProgress) -> None:
    followers = [asyncio.create_task(followed(follow, at(0))) for _ in range(2)]
    await read(lambda: show.asked, lambda asked: asked >= 2)
    for left, follower in zip((1, 0), followers, strict=True):
        follower.cancel()
        await asyncio.wait({follower})
        assert follow.looking == left
    tasks = {task.get_name() for task in asyncio.all_tasks() if not task.cancelling()}
    assert "progress-feed" not in tasks


async def test_followers_outlive_a_database_that_is_away(show: Scripted, follow: FollowProgress) -> None:
    show.answer = ConnectionError("away")
    follower = asyncio.create_task(followed(follow, at(0)))
    await read(lambda: show.asked, lambda asked: asked >= 3)
    assert not follower.done()
    show.answer = at(3, "cancelled")
    assert await follower == [at(3, "cancelled")]


@pytest.mark.parametrize("how", ["deleted", "stopped"])
async def test_a_stream_ends_when_the_campaign_is_gone_or_the_process_stops(
    show: Scripted, follow: FollowProgress, how: str
) -> None:
    follower = asyncio.create_task(followed(follow, at(0)))
    await read(lambda: show.asked, lambda asked: asked >= 1)
    if how == "deleted":
        show.answer = CampaignNotFound()
    else:
        follow.close()
    assert await follower == []
    assert follow.looking == 0


async def test_a_quiet_stream_says_so_and_ends_with_its_time(show: Scripted) -> None:
    follow = FollowProgress(show, seconds=0.001, quiet_seconds=0.01)  # type: ignore[arg-type]
    async with aclosing(follow.changes(QUESTION, at(0), for_seconds=0.05)) as changes:
        heard = [change async for change in changes]
    assert set(heard) == {None}
    assert follow.looking == 0


async def test_what_has_ended_is_not_followed(show: Scripted, follow: FollowProgress) -> None:
    assert await followed(follow, at(10, "failed")) == []
    assert (follow.looking, show.asked) == (0, 0)
