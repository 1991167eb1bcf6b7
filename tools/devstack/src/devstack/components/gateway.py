"""Traefik, with the route table of deploy/gateway. Its static settings are environment variables."""

import shutil
import sys
from pathlib import Path

from devstack import probes
from devstack.errors import StackError
from devstack.program import Program, Stage
from devstack.settings import REPOSITORY, StackSettings

FOLDER = REPOSITORY / "deploy" / "gateway"
SERVICES = ("campaign", "execution", "stats", "webhook")


def program(settings: StackSettings) -> Program:
    """The gateway. Raises StackError when Traefik is not installed."""
    admin = settings.gateway_admin_port
    return Program(
        name="gateway",
        command=(_find(),),
        stage=Stage.EDGE,
        ports={"GATEWAY_PORT": settings.gateway_port, "GATEWAY_ADMIN_PORT": admin},
        # Its ping answers even when it could not read the route table. This route is in the table.
        probe=probes.http(admin, "/gateway-errors/502", expected=502),
        environment=environment(settings),
    )


def environment(settings: StackSettings) -> dict[str, str]:
    """The shared static settings, our addresses, and what dynamic.yml asks for."""
    admin = f"127.0.0.1:{settings.gateway_admin_port}"
    return {
        **read_env_file(FOLDER / "traefik.env"),
        "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS": f"127.0.0.1:{settings.gateway_port}",
        "TRAEFIK_ENTRYPOINTS_TRAEFIK_ADDRESS": admin,
        "TRAEFIK_PROVIDERS_FILE_FILENAME": str(FOLDER / "dynamic.yml"),
        "GATEWAY_ADMIN_URL": f"http://{admin}",
        **{
            f"{name.upper()}_SERVICE_URL": f"http://127.0.0.1:{settings.port(f'{name}_api_port')}"
            for name in SERVICES
        },
    }


def read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; the rest is comment."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _find() -> str:
    script = Path(sys.executable).with_name("traefik")
    found = str(script) if script.exists() else shutil.which("traefik")
    if not found:
        raise StackError("traefik is missing", mend="make setup installs it")
    return found
