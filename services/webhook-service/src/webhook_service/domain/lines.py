"""What this process has taken, and may send: so many requests at once, and so many to each endpoint.

Mental model: a taken delivery is in `InFlight` from the claim to the record. Of an endpoint, `per_endpoint`
are on their way at once; a fast one has more taken ahead of that, as many as it will answer within
AHEAD_SECONDS, so that it never waits for the database. One that hangs holds `per_endpoint` and nothing more:
what was taken ahead takes no place of a request, and an endpoint counts as slow as it has been silent. Once
half of all places are taken, who is silent gets one: else many that hang would hold all of them.
"""

from collections import Counter, defaultdict, deque
from math import ceil, inf
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD_SECONDS = 0.1
"""Far below what a lease has to spare."""
MOST_AHEAD = 256
SILENT_SECONDS = 1.0
MEMORY = 0.2
"""The weight of the newest answer in an endpoint's usual time."""
KEPT_ENDPOINTS = 10_000


class InFlight:
    """Counts what is taken. Times are a monotonic clock's, in seconds."""

    def __init__(self, *, capacity: int, per_endpoint: int) -> None:
        self._capacity = capacity
        self._per_endpoint = per_endpoint
        self._held: dict[str, str] = {}
        self._endpoints: Counter[str] = Counter()
        self._ahead = 0
        self._seconds: dict[str, float] = {}
        self._heard_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: str) -> bool:
        return key in self._held

    @property
    def room(self) -> int:
        """How many requests more may be made."""
        return self._capacity - (len(self._held) - self._ahead)

    def room_at(self, endpoint_id: str, now: float) -> int:
        """How many more of this endpoint, apart from the whole."""
        usual = self._usual(endpoint_id, now)
        if usual > SILENT_SECONDS and self.room <= self._capacity // 2:
            return 1 - self._endpoints[endpoint_id]
        ahead = max(1.0, AHEAD_SECONDS / max(usual, 1e-3)) if self._ahead < self._capacity else 1.0
        most = min(ceil(self._per_endpoint * ahead), max(MOST_AHEAD, self._per_endpoint))
        return most - self._endpoints[endpoint_id]

    def flows(self, endpoint_id: str, now: float) -> bool:
        """Whether what is known of this endpoint goes soon: it is known to answer, and has done so lately."""
        return self._usual(endpoint_id, now) <= SILENT_SECONDS

    def _usual(self, endpoint_id: str, now: float) -> float:
        return max(self._seconds.get(endpoint_id, inf), now - self._heard_at.get(endpoint_id, now))

    def enter(self, key: str, endpoint_id: str, now: float) -> None:
        """It is being taken."""
        self._held[key] = endpoint_id
        self._heard_at.setdefault(endpoint_id, now)
        self._ahead += self._endpoints[endpoint_id] >= self._per_endpoint
        self._endpoints[endpoint_id] += 1

    def leave(self, key: str) -> None:
        """It has been recorded, or was not to be had. Harmless when it is not there."""
        endpoint_id = self._held.pop(key, None)
        if endpoint_id is not None:
            self._endpoints[endpoint_id] -= 1
            self._ahead -= self._endpoints[endpoint_id] >= self._per_endpoint
            if self._endpoints[endpoint_id] <= 0:
                del self._endpoints[endpoint_id], self._heard_at[endpoint_id]

    def answered(self, endpoint_id: str, seconds: float, now: float) -> None:
        """An answer of this endpoint took so long."""
        if len(self._seconds) >= KEPT_ENDPOINTS and endpoint_id not in self._seconds:
            self._seconds.clear()  # they are learned again at once
        usual = self._seconds.get(endpoint_id, seconds)
        self._seconds[endpoint_id] = usual + MEMORY * (seconds - usual)
        if endpoint_id in self._heard_at:
            self._heard_at[endpoint_id] = now


class Lines(Generic[T]):
    """One line per endpoint, of which `per_endpoint` are being served."""

    def __init__(self, *, per_endpoint: int) -> None:
        self._per_endpoint = per_endpoint
        self._serving: Counter[str] = Counter()
        self._waiting: dict[str, deque[T]] = defaultdict(deque)

    def join(self, endpoint_id: str, item: T) -> T | None:
        """`item` when it may be served at once, else None: it has its place in the line."""
        if self._serving[endpoint_id] >= self._per_endpoint:
            self._waiting[endpoint_id].append(item)
            return None
        self._serving[endpoint_id] += 1
        return item

    def served(self, endpoint_id: str) -> T | None:
        """One has been served; the next one to serve, if there is any."""
        waiting = self._waiting.get(endpoint_id)
        if waiting:
            following = waiting.popleft()
            if not waiting:
                del self._waiting[endpoint_id]
            return following
        self._serving[endpoint_id] -= 1
        if self._serving[endpoint_id] <= 0:
            del self._serving[endpoint_id]
        return None

    def clear(self) -> list[T]:
        """Send all that wait away; who they are."""
        gone = [item for line in self._waiting.values() for item in line]
        self._waiting.clear()
        return gone
