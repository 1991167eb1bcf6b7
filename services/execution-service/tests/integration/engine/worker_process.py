"""A worker process for tests: the real one, which writes down its slots, its dispatches and when it was not run.

`python worker_process.py <settings as JSON> <database> <name> <file>`; ends at SIGTERM. The file gets lines
`dealt`, `missed` or `sent` with seconds since the epoch and a chat id (of the slot, but for `sent`: then), and
`stall <seconds>`.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import uvloop
from execution_service.application.ports_sending import Grant, Limiter, Sharer, Slot
from execution_service.bootstrap_worker import Worker, WorkerWiring
from execution_service.settings_engine import WorkerSettings

TICK = 0.005


async def note_stalls(out: TextIO) -> None:
    """Write down how much later than asked for this process is woken, beyond a tick."""
    while True:
        asked = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        late = time.monotonic() - asked
        if late > TICK:
            out.write(f"stall {late}\n")


def note_slots(limiter: Limiter, out: TextIO) -> None:
    """Write down the slots that the limiter deals out, and those that it is told have gone by unused."""
    reserve, told = limiter.reserve, set[float]()

    def note(kind: str, slot: Slot, chat_id: int) -> None:
        out.write(f"{kind} {time.time() + slot.at - time.monotonic()} {chat_id}\n")

    async def noted(sharer: Sharer, chats: Sequence[int], *, missed: Sequence[Slot] = ()) -> Grant:
        for chat_id, slot in zip(chats, missed, strict=False):
            if slot.mark not in told:  # who has to wait asks again with the same
                note("missed", slot, chat_id)
        told.update(slot.mark for slot in missed)
        grant = await reserve(sharer, chats, missed=missed)
        for chat_id, turn in zip(chats, grant.turns, strict=False):
            if isinstance(turn, Slot):
                note("dealt", turn, chat_id)
        return grant

    limiter.reserve = noted  # type: ignore[method-assign]


async def main(settings: dict[str, Any], database: str, name: str, path: str) -> None:
    """Work until told to stop."""
    wiring = WorkerWiring(WorkerSettings(**settings), service=database)
    worker = Worker(wiring, owner=name)
    send, stop = worker.api.send, asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with Path(path).open("w", buffering=1) as out:  # noqa: ASYNC230 - a line takes microseconds

        async def stamped(token: str, chat_id: int, *rest: Any, **more: Any) -> Any:
            out.write(f"sent {time.time()} {chat_id}\n")
            return await send(token, chat_id, *rest, **more)

        note_slots(worker.run_shard.turn.limiter, out)
        worker.api.send = stamped  # type: ignore[method-assign]
        running = asyncio.create_task(worker.run())
        stalls = asyncio.create_task(note_stalls(out))
        await stop.wait()
        running.cancel()
        await asyncio.wait({running})
        stalls.cancel()
    await worker.close()
    await wiring.close()


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1]), *sys.argv[2:]))
