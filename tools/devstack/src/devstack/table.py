"""The process table: every program of the stack, and the environment that all of them get."""

import os
import sys

from devstack import probes, secrets
from devstack.components import gateway, kafka, mongo, redis, toxiproxy
from devstack.program import Program, Stage
from devstack.settings import StackSettings

INFRASTRUCTURE = frozenset({"kafka", "mongo", "redis", "toxiproxy"})

SERVICES: dict[str, tuple[str, ...]] = {
    "campaign": ("api", "relay", "consumer"),
    "execution": ("api", "relay", "planner", "worker"),
    "stats": ("api", "relay", "aggregator"),
    "webhook": ("api", "relay", "consumer", "deliverer"),
}
"""Service to its processes: `python -m campaign_service api` and so on."""


def names(settings: StackSettings) -> list[str]:
    """Every program that this stack would run, in start order."""
    given = {
        "kafka": settings.kafka_bootstrap_servers,
        "mongo": settings.mongo_url,
        "redis": settings.redis_url,
        "telegram-simulator": settings.telegram_api_base_url,
    }
    ours = [name for name, url in given.items() if not url]
    ours += ["toxiproxy"] if settings.stack_proxied else []
    services = [f"{service}-{process}" for service, parts in SERVICES.items() for process in parts]
    more = [f"execution-worker-{number}" for number in range(2, settings.stack_workers + 1)]
    return [*ours, "gateway", *services, *more]


def programs(settings: StackSettings) -> dict[str, Program]:
    """The programs by name. Raises StackError when one's binary is not installed."""
    table = {
        "kafka": kafka.program, "mongo": mongo.program, "redis": redis.program, "gateway": gateway.program,
        "telegram-simulator": _simulator, "toxiproxy": toxiproxy.program,
    }  # fmt: skip
    return {
        name: table[name](settings) if name in table else _service(settings, name) for name in names(settings)
    }


def _simulator(settings: StackSettings) -> Program:
    port = settings.simulator_port
    return Program(
        name="telegram-simulator",
        command=(sys.executable, "-m", "telegram_simulator", "--host", "127.0.0.1", "--port", str(port)),
        stage=Stage.EDGE,
        ports={"SIMULATOR_PORT": port},
        probe=probes.http(port, "/healthz"),
    )


def _service(settings: StackSettings, name: str) -> Program:
    service, process, *number = name.split("-")
    field = name.replace("-", "_")
    admin = settings.more_worker_port(int(number[0])) if number else settings.port(f"{field}_admin_port")
    # The workers beside the first have no variable of their own; the base moves them.
    ports = {"STACK_PORT_BASE" if number else f"{field.upper()}_ADMIN_PORT": admin}
    environment = {"HOST": "127.0.0.1", "ADMIN_PORT": str(admin)}
    probe = probes.http(admin, "/readyz")
    if process == "api":
        port = settings.port(f"{field}_port")
        ports = {f"{field.upper()}_PORT": port, **ports}
        environment["PORT"] = str(port)
        probe = probes.both(probe, probes.port(port))
    return Program(
        name=name,
        command=(sys.executable, "-m", f"{service}_service", process),
        stage=Stage.SERVICE,
        ports=ports,
        probe=probe,
        environment=environment,
    )


def environment(settings: StackSettings) -> dict[str, str]:
    """The common environment. A variable that is set outside wins over every default here."""
    defaults = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.services_use(settings),
        "KAFKA_REPLICATION_FACTOR": str(settings.kafka_replication_factor),
        "MONGO_URL": mongo.url(settings),
        "REDIS_URL": redis.services_use(settings),
        "JWT_ALGORITHMS": secrets.ALGORITHM,
        "JWT_ISSUER": secrets.ISSUER,
        "JWT_AUDIENCE": secrets.AUDIENCE,
        "LOG_LEVEL": "INFO",
        "PUBLIC_BASE_URL": settings.gateway_url,
        "TRACKING_BASE_URL": f"{settings.gateway_url}/api/v1/t",
        "EXECUTION_SERVICE_URL": f"http://127.0.0.1:{settings.execution_api_port}",
        "TELEGRAM_API_BASE_URL": telegram_url(settings),
        "WEBHOOK_ALLOW_PRIVATE_NETWORKS": "true",
        "PYTHONUNBUFFERED": "1",
        **secrets.load_or_create(settings.stack_dir),
    }
    passed = [name for name in os.environ if name.startswith("WEBHOOK_")]
    given = {name: value for name in (*defaults, *passed) if (value := os.environ.get(name))}
    # The settings were read once; a URL given to them in code counts like one from the environment.
    decided = ("KAFKA_BOOTSTRAP_SERVERS", "MONGO_URL", "REDIS_URL", "TELEGRAM_API_BASE_URL")
    return {**defaults, **given, **{name: defaults[name] for name in decided}}


def telegram_url(settings: StackSettings) -> str:
    """The Bot API to use: the given one, else the simulator's."""
    return settings.telegram_api_base_url or f"http://127.0.0.1:{settings.simulator_port}"
