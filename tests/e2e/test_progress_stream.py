"""Progress as server-sent events, through the gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any


async def events(world: Any, path: str) -> AsyncIterator[tuple[float, dict[str, Any]]]:
    """The stream's events, each with the moment of its arrival."""
    async with world.http("viewer") as http, http.stream("GET", path) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield monotonic(), json.loads(line.removeprefix("data: "))["data"]


async def test_progress_streams_through_the_gateway_from_the_first_moment_to_the_last(world: Any) -> None:
    await world.set_up(contacts=160, rate=30)  # longer than any request may wait for its answer
    campaign_id, execution_id = await world.start_campaign()
    heard = [item async for item in events(world, f"/campaigns/{campaign_id}/progress/stream")]
    told = [data for _, data in heard]
    # It arrived as it happened: a gateway that buffers would hand it all over in the end.
    assert heard[-1][0] - heard[0][0] > 3
    assert {data["executionId"] for data in told} <= {execution_id, None}
    assert told[-1]["status"] == "completed" and told[-1]["progress"]["successful"] == 160
    assert {data["status"] for data in told[:-1]} <= {"idle", "running"}
    numbers = [data["progress"]["processed"] for data in told]
    assert numbers == sorted(numbers) and len(set(numbers)) > 5
    for data in told:
        progress = data["progress"]
        assert progress["total"] == progress["processed"] + progress["pending"]
    # Two a second at most, with a little for the way.
    assert len(heard) <= 2 * (heard[-1][0] - heard[0][0]) + 2
    assert (await world.progress(campaign_id))["progress"] == told[-1]["progress"]


async def test_a_reader_that_leaves_holds_nothing(world: Any) -> None:
    await world.set_up(contacts=60, rate=10)
    campaign_id, _ = await world.start_campaign()
    path = f"/campaigns/{campaign_id}/progress/stream"
    streams = [events(world, path) for _ in range(20)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    done = await world.until_completed(campaign_id)
    assert done["progress"]["successful"] == 60
