"""Who may be posted to right now.

Mental model: `capacity` requests at once in this process, at most `per_endpoint` of them to one
endpoint, so that one that hangs cannot take all; and one at a time per (endpoint, campaign), so that a
campaign's events are tried in the order in which they were made.
"""

from collections import Counter
from collections.abc import Iterable

from webhook_service.domain.delivery import Due


class InFlight:
    """Counts what is being sent."""

    def __init__(self, *, capacity: int, per_endpoint: int) -> None:
        self._capacity = capacity
        self._per_endpoint = per_endpoint
        self._endpoints: Counter[str] = Counter()
        self._lanes: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return self._capacity - len(self._lanes)

    def full_endpoints(self) -> list[str]:
        """Endpoints that take no more at the moment."""
        return [name for name, count in self._endpoints.items() if count >= self._per_endpoint]

    def admit(self, candidates: Iterable[Due]) -> list[Due]:
        """Enter as many of `candidates`, in their order, as may be sent now."""
        return [due for due in candidates if self._enter(due)]

    def _enter(self, due: Due) -> bool:
        lane = (due.endpoint_id, due.campaign_id)
        if self.room <= 0 or lane in self._lanes or self._endpoints[due.endpoint_id] >= self._per_endpoint:
            return False
        self._lanes.add(lane)
        self._endpoints[due.endpoint_id] += 1
        return True

    def leave(self, due: Due) -> None:
        """It has been sent, or was not to be had."""
        self._lanes.discard((due.endpoint_id, due.campaign_id))
        self._endpoints[due.endpoint_id] -= 1
        if self._endpoints[due.endpoint_id] <= 0:
            del self._endpoints[due.endpoint_id]
