"""Finding processes and ports, by psutil.

Mental model: everything the stack starts inherits one environment variable that names its STACK_DIR.
The kernel keeps it for the life of the process, so the stack's own processes can be told from all
others even when the supervisor was killed and its records are gone.
"""

import contextlib
import socket
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

MARKER = "CAMPAIGNS_STACK_MARKER"


def of_stack(stack_dir: Path) -> list[psutil.Process]:
    """The living processes that carry this stack's mark, without the caller and its ancestors."""
    me = psutil.Process()
    family = {me.pid, *(parent.pid for parent in me.parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in family and _mark(process) == str(stack_dir)
    ]


def _mark(process: psutil.Process) -> str | None:
    try:
        if not _lives(process):
            return None
        if process.name() == "redis-server":
            # It writes its title over its environment, but stays in its data folder.
            folder = Path(process.cwd())
            return str(folder.parents[1]) if folder.parts[-2:] == ("data", "redis") else None
        return process.environ().get(MARKER)
    except (psutil.Error, OSError):  # ended meanwhile, or another user's
        return None


def stop(processes: Iterable[psutil.Process], *, grace_seconds: float) -> list[psutil.Process]:
    """SIGTERM, then SIGKILL after `grace_seconds`. Answers those that had to be killed."""
    alive = list(processes)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    stubborn = wait_gone(alive, seconds=grace_seconds)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_gone(stubborn, seconds=5)
    return stubborn


def wait_gone(processes: Iterable[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait until they have ended; those that have not after `seconds`.

    A zombie has ended: in a container without an init process nobody may ever collect it.
    """
    deadline = time.monotonic() + seconds
    left = [process for process in processes if _lives(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if _lives(process)]
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_taken(port: int) -> bool:
    """Whether a server could not listen on 127.0.0.1:`port` now."""
    with socket.socket() as sock:
        # Connections in TIME_WAIT do not count as taken; a listener does, on any address.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def listener(port: int) -> psutil.Process | None:
    """Who listens on `port`, as far as this user may see."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if not address or address[1] != port:  # (host, port), or empty
                continue
            if connection.status == psutil.CONN_LISTEN and connection.pid:
                return psutil.Process(connection.pid)
    return None


def describe(process: psutil.Process | None) -> str:
    """`pid 12 (python -m http.server)`, or `another process`."""
    if process is None:
        return "another process"
    command = ""
    with contextlib.suppress(psutil.Error):
        command = " ".join(process.cmdline()) or process.name()
    return f"pid {process.pid} ({command[:80]})"
