"""Progress as it changes, for any number of followers at the price of one.

Mental model: all followers of the same question in this process share one feed. It looks every `seconds`
while anybody follows, and keeps only its latest look; a follower that is slow misses what lay in between,
never the end. Followers are spaced by the same `seconds`, so nobody gets more than its share.
"""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service_kit.logging import get_logger

from execution_service.application.show_progress import ShowProgress
from execution_service.domain.errors_engine import CampaignNotFound, ExecutionNotFound
from execution_service.domain.progress import Progress

log = get_logger()

ENDED = frozenset({"completed", "failed", "cancelled"})
"""Nothing changes after these, but for a failed execution that is mended: whoever wants that asks again."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whose progress; `execution_id` None: the latest execution's. `deleted_too` as for `ShowProgress`."""

    org: str
    campaign_id: str
    execution_id: str | None
    deleted_too: bool


@dataclass(slots=True)
class _Feed:
    """The latest look, how many follow, and who looks. `over`: there will be none any more."""

    latest: Progress | None = None
    followers: int = 0
    over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def tell(self, latest: Progress | None, *, over: bool) -> None:
        """Wake everybody who waits for a change."""
        self.latest, self.over = latest or self.latest, over
        self.changed.set()
        self.changed = asyncio.Event()


class FollowProgress:
    """The feeds of this process. `quiet_seconds`: a follower hears something at least so often."""

    def __init__(self, show: ShowProgress, *, seconds: float, quiet_seconds: float) -> None:
        self._show = show
        self._seconds = seconds
        self._quiet = quiet_seconds
        self._feeds: dict[Question, _Feed] = {}
        self._closed = False

    async def first(self, question: Question) -> Progress:
        """Where it stands now. Raises CampaignNotFound, ExecutionNotFound."""
        return await self._show.progress(
            question.org, question.campaign_id, question.execution_id, deleted_too=question.deleted_too
        )

    async def changes(
        self, question: Question, seen: Progress, *, for_seconds: float
    ) -> AsyncGenerator[Progress | None, None]:
        """What comes after `seen` within `for_seconds`, until the execution has ended.

        None when nothing has changed for `quiet_seconds`.
        """
        if seen.status in ENDED:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + for_seconds
        with self._joined(question) as feed:
            while not self._closed and loop.time() < until:
                await asyncio.sleep(self._seconds)
                changed = feed.changed
                if feed.latest is not None and feed.latest != seen:
                    seen = feed.latest
                    yield seen
                    if seen.status in ENDED:
                        return
                elif feed.over:
                    return
                elif not await _happens(changed, min(self._quiet, until - loop.time())):
                    yield None

    def close(self) -> None:
        """The process stops: all followers are let go."""
        self._closed = True
        for feed in self._feeds.values():
            feed.tell(None, over=True)

    @property
    def looking(self) -> int:
        """How many questions are being looked at."""
        return len(self._feeds)

    @contextmanager
    def _joined(self, question: Question) -> Iterator[_Feed]:
        feed = self._feeds.get(question)
        if feed is None:
            feed = self._feeds[question] = _Feed()
            # In a context of its own: the first follower's request, with its time limits, may end any time.
            feed.task = asyncio.create_task(
                self._look(question, feed), name="progress-feed", context=contextvars.Context()
            )
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if feed.followers == 0 and feed.task is not None:
                feed.task.cancel()
                del self._feeds[question]

    async def _look(self, question: Question, feed: _Feed) -> None:
        while not feed.over:
            try:
                latest = await self.first(question)
                if latest != feed.latest:
                    feed.tell(latest, over=latest.status in ENDED)
            except (CampaignNotFound, ExecutionNotFound):
                feed.tell(None, over=True)
            except Exception as error:
                # The database is away, say: followers hear that they are still connected, and wait.
                log.warning("progress.look_failed", reason=type(error).__name__)
            await asyncio.sleep(self._seconds)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` comes in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
