"""A subscriber that notes everything, and the check of what a webhook's log says against it.

It knows nothing of how the service works: events that were published, requests that arrived, the API's log.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import uvicorn
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class Published:
    """An event as it was given to Kafka."""

    id: str
    campaign_id: str
    sequence: int


@dataclass
class Hook:
    """One subscriber's URL. `refusals`: how often it refuses an event at first; `never`: always."""

    secret: str = ""
    never: bool = False
    refuses: tuple[int, ...] = (0,)
    arrived: list[tuple[str, int]] = field(default_factory=list)
    """Event ids and what they were answered, in the order of arrival."""
    bodies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    refused: Counter[str] = field(default_factory=Counter)


class Hooks:
    """Real HTTP on loopback, a path per hook. `seed` decides who is refused how often."""

    def __init__(self, hooks: Mapping[str, Hook], seed: int) -> None:
        self.hooks, self._seed, self.url = hooks, seed, ""

    @property
    def count(self) -> int:
        """Requests that arrived."""
        return sum(len(hook.arrived) for hook in self.hooks.values())

    def refusals(self, name: str, event_id: str) -> int:
        """How often the event is refused there at first."""
        hook = self.hooks[name]
        return Random(f"{self._seed}/{name}/{event_id}").choice(hook.refuses)  # noqa: S311 - a test's faults

    async def receive(self, request: Request) -> Response:
        """Take one; its signature must be right."""
        name, event_id = request.path_params["name"], request.headers["webhook-id"]
        hook, body = self.hooks[name], await request.body()
        Webhook(hook.secret).verify(body, dict(request.headers))
        refuse = hook.never or hook.refused[event_id] < self.refusals(name, event_id)
        hook.refused[event_id] += refuse
        status = 500 if refuse else 204
        hook.arrived.append((event_id, status))
        hook.bodies[event_id].add(body)
        return Response(status_code=status)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Hooks"]:
        """On a free port, until the end."""
        app = Starlette(routes=[Route("/{name}", self.receive, methods=["POST"])])
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="error", access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.should_exit = True
            await serving


@dataclass(frozen=True, slots=True)
class Verdict:
    """Requests that arrived, and how many of them no attempt in the log tells of."""

    requests: int
    unrecorded: int


def check(
    name: str,
    hooks: Hooks,
    events: Iterable[Published],
    log: list[dict[str, Any]],
    *,
    ordered: bool,
    attempts: int,
) -> Verdict:
    """Raises AssertionError unless each event arrived, and is counted and ordered right.

    `log`: the deliveries as the API shows them. `attempts`: how many a delivery has.
    """
    hook, published = hooks.hooks[name], {event.id: event for event in events}
    rows = {row["eventId"]: row for row in log}
    _need(len(rows) == len(log), f"{name}: an event has two deliveries")
    _need(set(rows) == set(published), f"{name}: {len(set(published) - set(rows))} events have no delivery")
    came: dict[str, list[int]] = defaultdict(list)
    for event_id, status in hook.arrived:
        came[event_id].append(status)
    unrecorded = 0
    for event_id, row in rows.items():
        recorded = [attempt["statusCode"] for attempt in row["attempts"]]
        told, arrived = Counter(code for code in recorded if code), Counter(came[event_id])
        where = f"{name}: {event_id} is {row['status']}, tells of {recorded}, and {came[event_id]} arrived"
        unrecorded += (arrived - told).total()
        _need(not told - arrived, where)
        if hook.never:
            _need((row["status"], len(recorded)) == ("failed", attempts), where)
            continue
        _need(row["status"] == "succeeded" and recorded[-1] == 204 and told[204] == 1, where)
        _need(arrived[500] == hooks.refusals(name, event_id), where)
    _need(all(len(bodies) == 1 for bodies in hook.bodies.values()), f"{name}: a repetition had other bytes")
    if ordered:
        _check_order(name, hook, published)
    return Verdict(len(hook.arrived), unrecorded)


def _need(so: bool, words: str) -> None:
    if not so:
        raise AssertionError(words)


def _check_order(name: str, hook: Hook, published: Mapping[str, Published]) -> None:
    """No event of a campaign came before the one before it had been taken."""
    taken: dict[str, int] = defaultdict(int)
    for event_id, status in hook.arrived:
        event = published[event_id]
        reached = taken[event.campaign_id]
        _need(event.sequence <= reached + 1, f"{name}: {event.campaign_id} {event.sequence} after {reached}")
        if status == 204:
            taken[event.campaign_id] = max(reached, event.sequence)
