"""Toxiproxy between the services and what they depend on, so that tests can part them.

Only with STACK_PROXIED=1. The services then reach our Kafka and our Redis through it, and nothing else does:
probes and tests look at the real ports. Its HTTP API, on its own port, makes and mends partitions.
"""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

from devstack import probes
from devstack.errors import StackError
from devstack.program import Program, Stage
from devstack.settings import StackSettings

VERSION = "2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server"
_CONFIG = "toxiproxy.json"


def program(settings: StackSettings) -> Program:
    """The proxies. Raises StackError when the program is not installed."""
    found = find(settings.campaigns_cache)
    if found is None:
        raise StackError("toxiproxy is not installed", mend="make toxiproxy, or leave STACK_PROXIED unset")
    port = settings.toxiproxy_port
    config = str(settings.run_dir / _CONFIG)
    return Program(
        name="toxiproxy",
        command=(str(found), "-host", "127.0.0.1", "-port", str(port), "-config", config),
        stage=Stage.INFRASTRUCTURE,
        ports={
            "TOXIPROXY_PORT": port,
            "KAFKA_PROXY_PORT": settings.kafka_proxy_port,
            "REDIS_PROXY_PORT": settings.redis_proxy_port,
        },
        probe=probes.http(port, "/version"),
    )


def prepare(settings: StackSettings) -> None:
    """Write which ports lead where."""
    # Kafka names its own address to clients: those that come through the proxy are sent back to it.
    leads = {
        "kafka": (settings.kafka_proxy_port, settings.kafka_proxied_port),
        "redis": (settings.redis_proxy_port, settings.redis_port),
    }
    proxies = [
        {"name": name, "listen": f"127.0.0.1:{here}", "upstream": f"127.0.0.1:{there}", "enabled": True}
        for name, (here, there) in leads.items()
    ]
    (settings.run_dir / _CONFIG).write_text(json.dumps(proxies), encoding="utf-8")


def find(cache: Path) -> Path | None:
    """The program, where `install` puts it."""
    path = cache / f"toxiproxy-{VERSION}" / "server"
    return path if path.exists() else None


def install(cache: Path) -> Path:
    """The program's path; built by Go when it is not there yet. Raises StackError."""
    found = find(cache)
    if found:
        return found
    go = shutil.which("go")
    if go is None:
        raise StackError(
            "Go is missing and toxiproxy needs it", mend="install Go 1.23 or newer (https://go.dev/dl)"
        )
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"toxiproxy-{VERSION}"
    with (cache / "toxiproxy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _build(go, home, cache / "toxiproxy-build.log")
    return home / "server"


def _build(go: str, home: Path, log: Path) -> None:
    draft = home.with_name(f"{home.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    with log.open("w") as output:
        code = subprocess.run(
            [go, "install", f"{MODULE}@v{VERSION}"],
            env={**os.environ, "GOBIN": str(draft)}, stdout=output, stderr=output, check=False,
        ).returncode  # fmt: skip
    if code != 0:
        raise StackError(
            f"Go could not build toxiproxy {VERSION} (exit {code})",
            log=log,
            mend="check the network and Go's settings, then run it again",
        )
    draft.rename(home)
