"""Answer a campaign's statistics.

Mental model: an answer is read in one transaction, so its parts agree with each other, and kept with the
stamp of what it was made from. Each question reads the stamp as it is now: the same, and the kept answer
is sent again; another one, and it is made anew. So nobody waits for a change to be shown, and nothing is
read twice that did not change.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from contracts.ids import created_at
from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from stats_service.application.answer_cache import AnswerCache, Made
from stats_service.application.make_answer import Answer, make_answer
from stats_service.application.ports import Pause
from stats_service.application.ports_reading import Books
from stats_service.application.shared_runs import SharedRuns
from stats_service.domain.errors import CampaignNotFound
from stats_service.domain.periods import present
from stats_service.domain.question import Question

YOUNG = timedelta(seconds=10)
PATIENCE = timedelta(seconds=2)
LOOK_AGAIN_SECONDS = 0.05


class Asked(NamedTuple):
    """A question of an organisation about one of its campaigns."""

    campaign: str
    org: str
    question: Question


class GetStatistics:
    """Statistics of campaigns as bytes: `encode` makes them. Answers of `cache_bytes` are kept.

    `told` hears of each answer that was looked for whether it was `kept` or `made`.
    """

    def __init__(
        self,
        *,
        books: Books,
        transactions: Transactions,
        clock: Clock,
        pause: Pause,
        encode: Callable[[Answer], bytes],
        cache_bytes: int,
        told: Callable[[str], None],
    ) -> None:
        self._books = books
        self._transactions = transactions
        self._clock = clock
        self._pause = pause
        self._encode = encode
        self._told = told
        self._cache = AnswerCache(cache_bytes)
        self._find = SharedRuns(self._find_one)

    async def __call__(self, asked: Asked, *, deleted_too: bool) -> bytes:
        """The answer; `deleted_too`: also when the campaign has been deleted.

        Raises CampaignNotFound, also for another organisation's. A campaign is known here some milliseconds
        after it was created, so an id whose own timestamp is young is waited for.
        """
        started = self._clock.now()
        made = created_at(asked.campaign)
        young = made is not None and abs(started - made) < YOUNG
        found = await self._find(asked)
        while found is None and young and self._clock.now() - started < PATIENCE:
            await self._pause(LOOK_AGAIN_SECONDS)
            found = await self._find(asked)
        if found is None or (found.stamp.deleted and not deleted_too):
            raise CampaignNotFound
        return found.body

    async def _find_one(self, asked: Asked) -> Made | None:
        """The kept answer if it holds, else a new one."""
        question, now = asked.question, self._clock.now()
        at = present(question.period, question.zone, now)
        stamp = await self._books.stamp(asked.campaign, asked.org)
        if stamp is None:
            return None
        kept = self._cache.get(asked)
        if kept is not None and kept.stamp == stamp and kept.present == at and await self._named(kept):
            self._told("kept")
            return kept

        async def read(tx: Tx) -> Made | None:
            stamp = await self._books.stamp(asked.campaign, asked.org, tx)
            if stamp is None:
                return None
            answer = await make_answer(tx, stamp, question, now=now, books=self._books)
            shown = tuple(segment.segment_id for segment in answer.segments or ())
            names = {segment: answer.names[segment] for segment in shown if segment in answer.names}
            return Made(self._encode(answer), stamp, at, shown, names)

        fresh = await self._transactions.run(read)
        if fresh is not None:
            self._cache.put(asked, fresh)
            self._told("made")
        return fresh

    async def _named(self, kept: Made) -> bool:
        """Whether the segments that it shows are still called so."""
        if not kept.segments:
            return True
        return await self._books.names(kept.stamp.org, kept.segments) == kept.names
