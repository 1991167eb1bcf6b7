"""A worker process for tests: the real one, which writes down when it dispatched and when it was not run.

`python worker_process.py <settings as JSON> <database> <name> <file>`; ends at SIGTERM. The file gets lines
`sent <seconds since the epoch> <chat id>` and `stall <seconds>`.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import uvloop
from execution_service.bootstrap_engine import EngineWiring
from execution_service.bootstrap_worker import Worker
from execution_service.settings_engine import EngineSettings

TICK = 0.005


async def note_stalls(out: TextIO) -> None:
    """Write down how much later than asked for this process is woken, beyond a tick."""
    while True:
        asked = time.monotonic() + TICK
        await asyncio.sleep(TICK)
        late = time.monotonic() - asked
        if late > TICK:
            out.write(f"stall {late}\n")


async def main(settings: dict[str, Any], database: str, name: str, path: str) -> None:
    """Work until told to stop."""
    wiring = EngineWiring(EngineSettings(**settings), service=database)
    worker = Worker(wiring, owner=name)
    send, stop = worker.api.send, asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with Path(path).open("w", buffering=1) as out:  # noqa: ASYNC230 - a line takes microseconds

        async def stamped(token: str, chat_id: int, *rest: Any, **more: Any) -> Any:
            out.write(f"sent {time.time()} {chat_id}\n")
            return await send(token, chat_id, *rest, **more)

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
