"""What is known to be due and is not taken yet, in memory: a look at the database finds many at once.

Mental model: a queue per endpoint, served in turn, so that a long one does not hold up the others, nor take
the place of theirs. It is a hint and no more: what is true of a delivery is in the database, which is asked
again when it is taken.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from webhook_service.domain.delivery import Due

LEAST = 64
"""Of each endpoint so many are remembered at least, however many endpoints there are."""
CROWD = 500
"""Of an endpoint of which so many are known no more are asked for."""


class Backlog:
    """Remembers about `limit` deliveries, of each endpoint its share; more are found again later."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._queues: OrderedDict[str, OrderedDict[str, Due]] = OrderedDict()
        self._held_until: dict[str, float] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, dues: Iterable[Due]) -> None:
        """Remember them, each once; the longest due first."""
        for due in dues:
            queue = self._queues.setdefault(due.endpoint_id, OrderedDict())
            if due.key not in queue and len(queue) < self._share:
                queue[due.key] = due
                self._size += 1

    @property
    def _share(self) -> int:
        return max(LEAST, self._limit // len(self._queues)) if self._queues else self._limit

    def hold(self, endpoint_id: str, until: float) -> None:
        """Give nothing of this endpoint before `until`."""
        self._held_until[endpoint_id] = until

    def enough(self, room_at: Callable[[str], int], now: float) -> list[str]:
        """Endpoints of which no more need be found: many are remembered, or none may go anyway."""
        many = min(CROWD, self._share)
        return [
            name
            for name, queue in self._queues.items()
            if len(queue) >= many or not self._may_go(name, room_at, now)
        ]

    def ready(self, flows: Callable[[str], bool], now: float) -> int:
        """How many are remembered of endpoints to which they flow."""
        return sum(
            len(queue)
            for name, queue in self._queues.items()
            if self._held_until.get(name, now) <= now and flows(name)
        )

    def _may_go(self, endpoint_id: str, room_at: Callable[[str], int], now: float) -> bool:
        return self._held_until.get(endpoint_id, now) <= now and room_at(endpoint_id) > 0

    def pick(self, room: int, room_at: Callable[[str], int], now: float) -> list[Due]:
        """At most `room`, and of each endpoint what has room there; forgotten here."""
        picked: list[Due] = []
        self._held_until = {name: until for name, until in self._held_until.items() if until > now}
        for endpoint_id in list(self._queues):
            if len(picked) >= room:
                break
            if endpoint_id in self._held_until:
                continue
            share = min(room - len(picked), room_at(endpoint_id))
            picked += self._take(endpoint_id, share)
        return picked

    def _take(self, endpoint_id: str, count: int) -> Sequence[Due]:
        queue = self._queues[endpoint_id]
        taken = [queue.popitem(last=False)[1] for _ in range(min(max(count, 0), len(queue)))]
        self._size -= len(taken)
        if queue:
            self._queues.move_to_end(endpoint_id)  # the others first, next time
        else:
            del self._queues[endpoint_id]
        return taken
