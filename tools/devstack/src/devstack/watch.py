"""Waiting for programs to become healthy, and noticing those that die instead."""

import re
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from devstack.components import mongo
from devstack.errors import StackError
from devstack.program import Program
from devstack.settings import StackSettings
from devstack.supervisor import DOWN_STATES, Supervisor

POLL_SECONDS = 0.2


class Watch:
    """One start: counts each program's deaths from here on, under one deadline."""

    def __init__(self, settings: StackSettings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._deadline = time.monotonic() + settings.stack_start_timeout_seconds
        self._last_stop: dict[str, object] = {}
        self._deaths: dict[str, int] = {}

    def start(self, programs: Iterable[Program]) -> None:
        """Start those that do not run."""
        info = self._supervisor.info()
        for program in programs:
            record = info.get(program.name, {})
            self._last_stop[program.name] = record.get("stop")
            if record.get("statename") in DOWN_STATES:
                self._supervisor.start(program.name)

    def wait(
        self, programs: Collection[Program], *, timeout: float | None = None, deaths_allowed: int = 1
    ) -> None:
        """Return when all are healthy.

        Raises StackError for a program that dies more often than `deaths_allowed`, cannot be spawned, or
        is not healthy in time. One death is forgiven: the supervisor repairs it.
        """
        deadline = self._deadline if timeout is None else time.monotonic() + timeout
        waiting = list(programs)
        with ThreadPoolExecutor(max_workers=max(1, len(waiting))) as pool:
            while True:
                info = self._supervisor.info()
                for program in waiting:
                    self._check_alive(program, info.get(program.name, {}), deaths_allowed)
                self._help_mongod(waiting)
                problems = list(pool.map(lambda program: program.probe(), waiting))
                late = [(p, text) for p, text in zip(waiting, problems, strict=True) if text]
                waiting = [program for program, _ in late]
                if not late:
                    return
                if time.monotonic() > deadline:
                    raise self._too_late(*late[0])
                time.sleep(POLL_SECONDS)

    def _check_alive(self, program: Program, record: dict[str, Any], deaths_allowed: int) -> None:
        stopped = record.get("stop")
        if stopped != self._last_stop.setdefault(program.name, stopped):
            self._last_stop[program.name] = stopped
            self._deaths[program.name] = self._deaths.get(program.name, 0) + 1
        spawn_error = record.get("spawnerr")
        hopeless = record.get("statename") == "FATAL" or (
            spawn_error and record.get("statename") == "BACKOFF" and "can't find" in str(spawn_error)
        )
        if hopeless or self._deaths.get(program.name, 0) > deaths_allowed:
            raise self._died(program, record)

    def _help_mongod(self, waiting: Iterable[Program]) -> None:
        if any(p.name == "mongo" and "--replSet" in p.command for p in waiting):
            mongo.initiate(self._settings)

    def _died(self, program: Program, record: dict[str, Any]) -> StackError:
        log = self._settings.log_of(program.name)
        spawn_error = str(record.get("spawnerr") or "")
        words = last_words(log) or spawn_error or f"exit {record.get('exitstatus')}"
        return StackError(
            f"{program.name} dies while starting: {words}", log=log, mend=f"make logs SERVICE={program.name}"
        )

    def _too_late(self, program: Program, problem: str) -> StackError:
        return StackError(
            f"{program.name} is not healthy in time: {problem}",
            log=self._settings.log_of(program.name),
            mend="look at the log; a slow machine may need a larger STACK_START_TIMEOUT_SECONDS",
        )


def last_words(log: Path, limit: int = 160) -> str:
    """The line of a log's end that most likely tells the cause, shortened.

    The last line that speaks of an error, else the last one with words; frames and boxes do not count.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()[-40:]
    except OSError:
        return ""
    spoken = [text for line in reversed(lines) if len(re.findall(r"\w", text := line.strip("│╭╮╰╯─ \t"))) > 8]
    errors = [text for text in spoken if re.search(r"error|exception|fatal", text, re.IGNORECASE)]
    return next(iter(errors or spoken), "")[:limit]
