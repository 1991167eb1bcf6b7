"""One stack: up, down, and what tests do to it.

Mental model of `up`: check what could be wrong before anything starts (ports, binaries, given URLs);
write the configuration; start the infrastructure and the edge together; create the topics as soon as
Kafka answers; start all services together; wait until every probe is content. Any failure on the way
takes everything down again and names its cause.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from devstack import checks, processes, table
from devstack.components import kafka, mongo, redis, toxiproxy
from devstack.errors import StackError
from devstack.program import Program, Stage
from devstack.settings import StackSettings
from devstack.supervisor import STAYS_DOWN_STATES, Supervisor, render_config
from devstack.watch import Watch

SICK_AFTER_SECONDS = 20
"""How long a program may run unhealthy before a second `up` restarts it."""
PREPARE: dict[str, Callable[[StackSettings], None]] = {
    "kafka": kafka.prepare,
    "mongo": mongo.prepare,
    "redis": redis.prepare,
    "toxiproxy": toxiproxy.prepare,
}


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """One row of `status`."""

    name: str
    state: str
    """supervisord's word (RUNNING, BACKOFF, …), or DOWN."""
    pid: int | None
    port: int
    problem: str | None
    """Why the program is not healthy; None when it is."""


class Stack:
    """The stack of one STACK_DIR; `only` names the programs to run, all by default.

    Calls may come from several processes: `up`, `down` and `reset` wait for each other.
    """

    def __init__(self, settings: StackSettings | None = None, only: Collection[str] | None = None) -> None:
        self.settings = settings or StackSettings()
        unknown = set(only or ()) - set(table.names(self.settings))
        if unknown:
            raise ValueError(f"no such programs here: {sorted(unknown)}")
        self._only = frozenset(only) if only is not None else None
        self._supervisor = Supervisor(self.settings)

    def as_started(self) -> "Stack":
        """This stack with the settings that its running processes were started with.

        They differ from ours when a variable was set for `make up` only.
        """
        note = self.settings.run_dir / "settings.json"
        if not self._supervisor.answers() or not note.exists():
            return self
        return Stack(StackSettings.model_validate_json(note.read_text(encoding="utf-8")), self._only)

    # -- what it is ---------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The variables that the services get: KAFKA_BOOTSTRAP_SERVERS, MONGO_URL, JWT_SECRET and so on."""
        return table.environment(self.settings)

    def programs(self) -> dict[str, Program]:
        """The programs this object starts. Raises StackError when a binary is missing."""
        every = table.programs(self.settings)
        return {name: item for name, item in every.items() if self._only is None or name in self._only}

    def status(self) -> list[ProgramStatus]:
        """Every program's state and health, asked now."""
        info = self._supervisor.info()
        programs = list(self.programs().values())
        with ThreadPoolExecutor(max_workers=len(programs)) as pool:
            problems = list(pool.map(lambda program: program.probe(), programs))
        return [
            ProgramStatus(
                name=program.name,
                state=str(info[program.name]["statename"]) if program.name in info else "DOWN",
                pid=self.pid(program.name, info),
                port=program.port,
                problem=problem if program.name in info else "not started",
            )
            for program, problem in zip(programs, problems, strict=True)
        ]

    def pid(self, name: str, info: dict[str, dict[str, object]] | None = None) -> int | None:
        """The program's process id; None while it does not run."""
        record = (self._supervisor.info() if info is None else info).get(name, {})
        pid = record.get("pid")
        return pid if isinstance(pid, int) and pid > 0 else None

    # -- up -----------------------------------------------------------------------------------------

    def up(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start what is not running and return when all is healthy.

        Raises StackError; then nothing of this stack is left running. `progress` hears each step.
        """
        with self._lock():
            try:
                self._up(progress)
            except BaseException:
                self._down()
                raise

    def _up(self, progress: Callable[[str], None]) -> None:
        programs = self.programs()
        every = table.programs(self.settings)
        environment = self.environment()
        config = render_config(self.settings, every.values())
        digest = hashlib.sha256(repr((config, sorted(environment.items()))).encode()).hexdigest()
        note = self.settings.run_dir / "digest"
        running = self._supervisor.answers()
        if running and (not note.exists() or note.read_text() != digest):
            progress("the settings have changed: restarting")
            self._down()
            running = False
        if running and self._all_well():
            return
        if not running:
            self._clear_leftovers(progress)
        info = self._supervisor.info() if running else {}
        missing = [p for p in programs.values() if info.get(p.name, {}).get("statename") not in _ALIVE]
        checks.ports_free(missing)
        checks.given_urls(self.settings)
        self._prepare(missing, progress)
        if not running:
            self._supervisor.launch(config, environment)
            self._note(digest)
        self._start_in_order(list(programs.values()), progress)

    def _all_well(self) -> bool:
        """Whether nothing is left to do. What has run unhealthy for a while is stopped, to start afresh."""
        rows = self.status()
        info = self._supervisor.info()
        for row in rows:
            record = info.get(row.name, {})
            age = int(record.get("now", 0)) - int(record.get("start", 0))
            if row.problem and row.state in ("RUNNING", "STARTING") and age > SICK_AFTER_SECONDS:
                self._stop_all([row.name])
        return not any(row.problem for row in rows)

    def _note(self, digest: str) -> None:
        run = self.settings.run_dir
        (run / "digest").write_text(digest, encoding="utf-8")
        settings = run / "settings.json"
        settings.touch(mode=0o600)  # a given URL may hold a password
        settings.write_text(self.settings.model_dump_json(), encoding="utf-8")

    def _prepare(self, missing: list[Program], progress: Callable[[str], None]) -> None:
        for program in missing:
            if program.name in PREPARE:
                progress(f"preparing {program.name}")
                PREPARE[program.name](self.settings)

    def _start_in_order(self, programs: list[Program], progress: Callable[[str], None]) -> None:
        watch = Watch(self.settings, self._supervisor)
        early = [program for program in programs if program.stage < Stage.SERVICE]
        services = [program for program in programs if program.stage is Stage.SERVICE]
        watch.start(early)
        infrastructure = [program for program in early if program.stage is Stage.INFRASTRUCTURE]
        if infrastructure:
            progress(f"starting {', '.join(program.name for program in early)}")
            watch.wait(infrastructure)
        if any(program.name == "mongo" for program in infrastructure):
            mongo.limit_transactions(self.settings)
        if services or any(program.name == "kafka" for program in programs):
            checks.create_topics(self.settings)
        if services:
            progress(f"starting {len(services)} service processes")
            watch.start(services)
        watch.wait(programs)

    def _clear_leftovers(self, progress: Callable[[str], None]) -> None:
        left = processes.of_stack(self.settings.stack_dir)
        if left:
            progress(f"stopping {len(left)} processes that an earlier start left behind")
            processes.stop(left, grace_seconds=self.settings.stack_stop_seconds)

    # -- down ---------------------------------------------------------------------------------------

    def down(self) -> list[str]:
        """Stop everything this stack started, and nothing else; the names of what was running.

        Raises StackError when something of ours survives.
        """
        with self._lock():
            return self._down()

    def _down(self) -> list[str]:
        info = self._supervisor.info()
        running = [name for name, record in info.items() if record["statename"] not in STAYS_DOWN_STATES]
        if info:
            infrastructure = [name for name in running if name in table.INFRASTRUCTURE]
            self._stop_all([name for name in running if name not in table.INFRASTRUCTURE])
            self._stop_all(infrastructure)
            self._end_daemon()
        left = processes.of_stack(self.settings.stack_dir)
        processes.stop(left, grace_seconds=self.settings.stack_stop_seconds)
        self._supervisor.clean()
        survivors = processes.of_stack(self.settings.stack_dir)
        if survivors:
            raise StackError(
                f"{processes.describe(survivors[0])} does not stop", mend=f"kill -9 {survivors[0].pid}"
            )
        return running or [str(process.pid) for process in left]

    def _stop_all(self, names: Collection[str]) -> None:
        self._supervisor.stop_all(names, seconds=self.settings.stack_stop_seconds + 5)

    def _end_daemon(self) -> None:
        pid_file = self.settings.run_dir / "supervisord.pid"
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            daemon = psutil.Process(int(pid_file.read_text()))
            self._supervisor.shutdown()
            processes.wait_gone([daemon], seconds=self.settings.stack_stop_seconds)

    def reset(self) -> None:
        """`down`, then wipe data, logs and generated files. The secrets and the cache stay."""
        with self._lock():
            self._down()
            for folder in (self.settings.data_dir, self.settings.log_dir):
                shutil.rmtree(folder, ignore_errors=True)
            (self.settings.run_dir / "digest").unlink(missing_ok=True)

    # -- for tests ----------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start one program and wait until it is healthy. Raises StackError."""
        watch = Watch(self.settings, self._supervisor)
        program = self.programs()[name]
        watch.start([program])
        watch.wait([program])

    def stop(self, name: str) -> None:
        """Stop one program and keep it down until `start`."""
        self._stop_all([name])

    def kill_for_good(self, name: str) -> None:
        """SIGKILL one program and keep it down until `start`. Raises StackError when it does not run."""
        # The supervisor is told before it dies, or would start it again; stopped, it sees no SIGTERM.
        pid = self.kill(name, signal.SIGSTOP)
        self._supervisor.stop(name)
        os.killpg(pid, signal.SIGKILL)  # the supervisor gives each program a group of its own
        self._stop_all([name])

    def restart(self, name: str) -> None:
        """Stop one program in good order, start it and wait until it is healthy."""
        self.stop(name)
        self.start(name)

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the program's process; the pid it had. The supervisor restarts what dies.

        Raises StackError when the program does not run.
        """
        pid = self.pid(name)
        if pid is None:
            raise StackError(f"{name} does not run", mend="make up", log=self.settings.log_of(name))
        os.kill(pid, sign)
        return pid

    def wait_healthy(self, names: Collection[str] | None = None, timeout: float = 60) -> None:
        """Return when the named programs (all by default) are healthy.

        Raises StackError when that takes longer than `timeout` seconds.
        """
        programs = self.programs()
        chosen = [programs[name] for name in (programs if names is None else names)]
        Watch(self.settings, self._supervisor).wait(chosen, timeout=timeout, deaths_allowed=100)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        for folder in (self.settings.run_dir, self.settings.log_dir, self.settings.data_dir):
            folder.mkdir(parents=True, exist_ok=True)
        with (self.settings.run_dir / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


_ALIVE = ("RUNNING", "STARTING", "BACKOFF")
