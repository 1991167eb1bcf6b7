"""What a service's command imports before it has read its settings: nearly all that its start costs."""

import re
import subprocess
import sys

_IMPORTED = re.compile(r"^import time:.*\|\s*(\S+)$", re.MULTILINE)


def packages_of(program: str, command: str) -> set[str]:
    """The packages that `python -m <program> <command>` imports until it dies of the settings it lacks."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", program, command],
        env={}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    words = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 1, f"{command} starts without settings"
    assert any("MONGO_URL" in line for line in words), f"{command} does not say what it lacks: {words}"
    return {name.partition(".")[0] for name in _IMPORTED.findall(done.stderr)}
