"""The compiled Bot API of the benches (`sink/sink.c`): built on the spot, started, asked what arrived.

    .venv/bin/python benchmarks/telegram_sink.py 8081      serves until interrupted

Needs a C compiler; nothing else of the project does.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SOURCE = Path(__file__).parent / "sink" / "sink.c"
TIMEOUT_SECONDS = 10


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which(os.environ.get("CC", "cc"))


def build(folder: Path) -> Path:
    """Compile into `folder`; the program. Raises SystemExit without a compiler."""
    found = compiler()
    if found is None:
        raise SystemExit("error: the sink needs a C compiler (mend: install gcc or clang, or set CC)")
    program = folder / "telegram-sink"
    subprocess.run(  # noqa: S603 - our own source
        [found, "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)], check=True, timeout=60
    )
    return program


@dataclass(frozen=True, slots=True)
class Counts:
    """What arrived since the last reset; times in seconds since the epoch, 0 when nothing did.

    `strange` messages went to chats that are no number from 1 to 2^27 - 1; `greatest` is that of the others.
    """

    messages: int
    unique: int
    doubled: int
    strange: int
    greatest: int
    first: float
    last: float


class TelegramSink:
    """A running sink; use it in a `with`. `port` 0 takes a free one."""

    def __init__(self, port: int = 0) -> None:
        with tempfile.TemporaryDirectory(prefix="sink-") as folder:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [str(build(Path(folder))), str(port)], stdout=subprocess.PIPE, text=True
            )
            assert self.process.stdout is not None  # noqa: S101 - it is a pipe
            line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit(f"error: the sink did not start on port {port}")
        self.port = int(line.split()[-1])
        self.url = f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        """What has arrived."""
        return Counts(**self._ask("GET", "/counts"))

    def reset(self) -> None:
        """Forget what has arrived."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    with TelegramSink(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as running:
        sys.stderr.write(f"{running.url} answers as Telegram does; GET /counts, POST /reset\n")
        try:
            running.process.wait()
        except KeyboardInterrupt:
            sys.stderr.write(f"{running.counts()}\n")
