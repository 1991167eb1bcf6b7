"""supervisord: its configuration, its start, and its XML-RPC.

Mental model: one daemon per STACK_DIR, started with nothing running (`autostart=false`); we tell it what
to start, and it restarts whatever dies. Its socket lives in a short private folder under the temporary
directory, because a path in STACK_DIR could be longer than a Unix socket allows.
"""

import hashlib
import http.client
import os
import resource
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from devstack.errors import StackError
from devstack.processes import MARKER
from devstack.program import Program
from devstack.settings import StackSettings

_UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.Error, EOFError)
POLL_SECONDS = 0.1
STAYS_DOWN_STATES = ("STOPPED", "FATAL", "UNKNOWN")
DOWN_STATES = (*STAYS_DOWN_STATES, "EXITED")
"""The supervisor starts at once what has EXITED, and cannot be asked not to until it has."""


def socket_path(stack_dir: Path) -> Path:
    """The same short path for the same STACK_DIR and user."""
    digest = hashlib.sha256(str(stack_dir).encode()).hexdigest()[:12]
    base = tempfile.gettempdir()
    if len(base) > 50:
        base = "/tmp"  # noqa: S108 - the folder below is private and checked
    return Path(base) / f"campaigns-{os.getuid()}-{digest}" / "supervisor.sock"


def render_config(settings: StackSettings, programs: Iterable[Program]) -> str:
    """supervisord.conf. Secrets are not in it: they are inherited from the daemon's environment."""
    run, log = settings.run_dir, settings.log_dir
    descriptors = min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    user = "user=root\n" if os.getuid() == 0 else ""
    head = (
        "[unix_http_server]\n"
        f"file={_plain(socket_path(settings.stack_dir))}\nchmod=0600\n\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n"
        f"[supervisord]\npidfile={_plain(run / 'supervisord.pid')}\n"
        f"logfile={_plain(log / 'supervisord.log')}\nlogfile_maxbytes=10MB\nlogfile_backups=1\n"
        f"childlogdir={_plain(log)}\nminfds={descriptors}\n{user}\n"
    )
    return head + "\n".join(_section(program, settings) for program in programs)


def _section(program: Program, settings: StackSettings) -> str:
    pairs = ",".join(f'{name}="{_plain(value)}"' for name, value in program.environment.items())
    return (
        f"[program:{program.name}]\n"
        f"command={_plain(shlex.join(program.command))}\n"
        f"environment={pairs}\n"
        f"stdout_logfile={_plain(settings.log_of(program.name))}\n"
        "redirect_stderr=true\nstdout_logfile_maxbytes=20MB\nstdout_logfile_backups=2\n"
        # A program that dies within startsecs is tried again after 1, 2, 3 … seconds.
        "autostart=false\nautorestart=true\nstartsecs=2\nstartretries=100\n"
        f"stopsignal=TERM\nstopwaitsecs={settings.stack_stop_seconds}\nstopasgroup=true\nkillasgroup=true\n"
    )


def _plain(value: object) -> str:
    """Text that supervisord does not expand."""
    return str(value).replace("%", "%%")


class Supervisor:
    """The daemon of one stack."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._socket = socket_path(settings.stack_dir)

    def _ask(self, method: str, *arguments: object) -> Any:
        # A connection of its own for every call: the transport's kept one stays broken after a failure.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def answers(self) -> bool:
        """Whether the daemon is there."""
        try:
            self._ask("getState")
        except _UNREACHABLE:
            return False
        return True

    def launch(self, config: str, environment: Mapping[str, str]) -> None:
        """Start the daemon, detached from the terminal. Raises StackError when it does not come up."""
        path = self._settings.run_dir / "supervisord.conf"
        path.write_text(config, encoding="utf-8")
        self._private_folder()
        log = self._settings.log_dir / "supervisord.log"
        marked = {**os.environ, **environment, MARKER: str(self._settings.stack_dir)}
        try:
            # Without --nodaemon it forks, leaves the session and answers when its socket is open.
            subprocess.run(
                [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)],
                env=marked, cwd=self._settings.run_dir, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=15, check=True,
            )  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            words = str(error.stdout or "it did not daemonise").strip().splitlines()[-1]
            raise StackError(f"supervisord did not start: {words}", log=log, mend="make down, then make up",
                             ) from error  # fmt: skip

    def _private_folder(self) -> None:
        """Made by us, ours alone: nobody else's socket is ever talked to."""
        folder = self._socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise StackError(f"{folder} is not private", mend=f"remove {folder}, or set another TMPDIR")

    def info(self) -> dict[str, dict[str, Any]]:
        """supervisord's record of every program: statename, pid, start, stop, now, exitstatus, spawnerr.

        Empty when the daemon is not there.
        """
        try:
            return {item["name"]: item for item in self._ask("getAllProcessInfo")}
        except _UNREACHABLE:
            return {}

    def start(self, name: str) -> None:
        """Start one program and return at once; harmless when it is starting or running."""
        self._call("startProcess", name)

    def stop(self, name: str) -> None:
        """Ask one program to stop and return at once; harmless when it is stopped."""
        self._call("stopProcess", name)

    def stop_all(self, names: Collection[str], *, seconds: float) -> None:
        """Stop programs and return when they stay down, or when `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            info = self.info()
            states = {name: info.get(name, {}).get("statename", "STOPPED") for name in names}
            up = [name for name, state in states.items() if state not in STAYS_DOWN_STATES]
            if not up:
                return
            for name in up:
                if states[name] != "STOPPING":
                    self.stop(name)  # also what had just died of itself when it was asked, and is back
            time.sleep(POLL_SECONDS)

    def _call(self, method: str, name: str) -> None:
        try:
            self._ask(method, name, False)
        except xmlrpc.client.Fault as fault:
            # 60 ALREADY_STARTED, 70 NOT_RUNNING; 50 SPAWN_ERROR shows in info(), where it is reported.
            if fault.faultCode not in (50, 60, 70):
                raise StackError(
                    f"supervisord refused {method}({name}): {fault.faultString}",
                    log=self._settings.log_dir / "supervisord.log",
                    mend="make down, then make up",
                ) from fault

    def shutdown(self) -> None:
        """End the daemon; it stops what still runs."""
        self._ask("shutdown")

    def clean(self) -> None:
        """Remove the socket's folder."""
        shutil.rmtree(self._socket.parent, ignore_errors=True)
