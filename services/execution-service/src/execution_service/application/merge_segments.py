"""Several segments walked as one, in the order of the contacts' keys, each contact once.

Every segment is read by pages of its own; the merge always takes the smallest key. Keys only grow, so a
contact is met at most once even if it moves between segments while the walk goes on, and the last key
alone says where to go on after a crash. Memory: one page per segment.
A rule without segments is one walk over the whole organisation. Who a rule excludes or filters out is met
too: each page then costs the same however few are wanted, and the walk is seen to go on.
"""

from collections import deque
from collections.abc import AsyncIterator

from execution_service.application.ports import Member
from execution_service.application.ports_engine import Audience
from execution_service.domain.audience import AudienceRule


class _Feed:
    """One segment's walk (None: everybody's)."""

    def __init__(
        self, audience: Audience, org: str, segment: str | None, *, after: str, page: int, whole: bool
    ) -> None:
        self._audience = audience
        self._org = org
        self._segment = segment
        self._after = after
        self._page = page
        self._whole = whole
        self._buffer: deque[Member] = deque()
        self._last_page = False

    async def head(self) -> Member | None:
        """The next member, still in the feed; None at the end."""
        if not self._buffer and not self._last_page:
            rows = await self._audience.walk(
                self._org, self._segment, after_key=self._after, limit=self._page, whole=self._whole
            )
            self._last_page = len(rows) < self._page
            self._buffer.extend(rows)
        return self._buffer[0] if self._buffer else None

    def skip(self) -> None:
        """Take the head off."""
        self._after = self._buffer.popleft().key


async def merge_segments(
    audience: Audience, org: str, rule: AudienceRule, *, after: str, page: int
) -> AsyncIterator[Member]:
    """Everybody in the segments of `rule` whose key is greater than `after`, by ascending key, once each."""
    if rule.empty:
        return
    segments: tuple[str | None, ...] = rule.segments or (None,)
    size, whole = max(50, page // len(segments)), bool(rule.conditions)
    feeds = [_Feed(audience, org, segment, after=after, page=size, whole=whole) for segment in segments]
    while True:
        heads = [(head, feed) for feed in feeds if (head := await feed.head()) is not None]
        if not heads:
            return
        first = min((head for head, _ in heads), key=lambda member: member.key)
        for head, feed in heads:
            if head.key == first.key:
                feed.skip()
        feeds = [feed for _, feed in heads]
        yield first
