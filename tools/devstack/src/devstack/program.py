"""What a program of the stack is: a command, its ports, and how to ask whether it is healthy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from devstack.probes import Probe


class Stage(IntEnum):
    """Start order. Services wait for the infrastructure and for Kafka's topics."""

    INFRASTRUCTURE = 0
    EDGE = 1
    """No dependency of its own: starts with the infrastructure, stops with the services."""
    SERVICE = 2


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    stage: Stage
    ports: Mapping[str, int]
    """Variable that changes it, by name (`KAFKA_PORT`), to the port it listens on."""
    probe: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    """What only this program gets, on top of the stack's common environment."""

    @property
    def port(self) -> int:
        """The port to show: the first one."""
        return next(iter(self.ports.values()))
