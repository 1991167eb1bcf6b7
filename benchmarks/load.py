"""Closed-loop load: so many clients, each asking again as soon as it has its answer."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

from pyreqwest.client import Client, ClientBuilder

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Calls a second, and latency in milliseconds; `bad` counts answers that were not as expected."""

    clients: int
    calls: int
    per_second: float
    p50: float
    p95: float
    p99: float
    bad: int

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def measure(
    call: Call, *, clients: int, seconds: float, most: int | None = None, warm_up: float = 0.5
) -> Measured:
    """Call for `seconds` (at most `most` times) with so many `clients` at once.

    The first `warm_up` seconds are not counted, unless `most` says that calls are precious.
    """
    latencies: list[float] = []
    bad = made = 0
    began = perf_counter()
    counted_from = began + (0 if most else warm_up)
    until = counted_from + seconds

    async def client() -> None:
        nonlocal bad, made
        while (start := perf_counter()) < until and (most is None or made < most):
            made += 1
            try:
                await call()
            except Unexpected:
                bad += 1
            if start >= counted_from:
                latencies.append(perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(clients)))
    took = perf_counter() - counted_from
    points = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else latencies * 99
    return Measured(
        clients, len(latencies), round(len(latencies) / took, 1),
        *(round(points[place] * 1000, 2) for place in (49, 94, 98)), bad,
    )  # fmt: skip


class Unexpected(Exception):
    """An answer whose status was not the one meant."""


class Http:
    """Requests over kept connections; a compiled client, so that it is not what is measured."""

    def __init__(self, base_url: str, token: str | None = None, connections: int = 64) -> None:
        self._base = base_url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client: Client = (
            ClientBuilder()
            .http1_only()
            .max_connections(connections)
            .pool_max_idle_per_host(connections)
            .timeout(timedelta(seconds=30))
            .build()
        )

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, *, status: int = 200
    ) -> bytes:
        """The body of the answer. Raises Unexpected."""
        request = self._client.request(method, self._base + path).headers(self._headers)
        if body is not None:
            request = request.header("Content-Type", "application/json").body_bytes(body)
        response = await request.build().send()
        answer = bytes(await response.bytes())
        if response.status != status:
            raise Unexpected(f"{method} {path}: {response.status} {answer[:300]!r}")
        return answer
