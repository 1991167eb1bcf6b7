"""What can be set: limits and faults. One definition serves the CLI, the environment and PATCH /config."""

import math
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

ENVIRONMENT_PREFIX = "TELEGRAM_SIMULATOR_"

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Limit = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]

CHAT_SHARES = ("blocked_share", "deactivated_share", "not_found_share", "not_started_share")
REQUEST_SHARES = ("server_error_share", "dropped_share")
_LISTS = (
    "blocked_chats",
    "deactivated_chats",
    "not_found_chats",
    "not_started_chats",
    "unauthorized_tokens",
)
_FIELD = re.compile(r"`\$\.(\w+)|field `(\w+)`")


class ConfigError(ValueError):
    """A setting is unknown or has a value that it cannot have; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings with their defaults (Telegram's own limits, no faults).

    Shares are 0..1, limits whole numbers with 0 = no limit, times seconds.
    """

    seed: int = 1
    bot_per_second: Limit = 30
    paid_per_second: Limit = 1000
    chat_per_second: Limit = 1
    group_per_minute: Limit = 20
    chat_429_stops_bot: bool = True
    blocked_share: Share = 0.0
    deactivated_share: Share = 0.0
    not_found_share: Share = 0.0
    not_started_share: Share = 0.0
    blocked_chats: frozenset[int] = frozenset()
    deactivated_chats: frozenset[int] = frozenset()
    not_found_chats: frozenset[int] = frozenset()
    not_started_chats: frozenset[int] = frozenset()
    server_error_share: Share = 0.0
    dropped_share: Share = 0.0
    slow_share: Share = 0.0
    slow_seconds: Seconds = 2.0
    burst_429_every_seconds: Seconds = 0.0
    burst_429_length_seconds: Seconds = 1.0
    burst_429_retry_after: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 3
    unauthorized_tokens: frozenset[str] = frozenset()


def field_names() -> tuple[str, ...]:
    """The settings' names, in the order of their definition."""
    return Config.__struct_fields__


def changed(current: Config, changes: Mapping[str, object], *, lax: bool = False) -> Config:
    """`current` with `changes` applied; `lax` reads numbers and booleans from text.

    Raises ConfigError, which names the field; `current` stays as it was.
    """
    merged = {**msgspec.to_builtins(current), **changes}
    try:
        config = msgspec.convert(merged, Config, strict=not lax)
    except msgspec.ValidationError as error:
        message = str(error)
        found = _FIELD.search(message)
        field = (found.group(1) or found.group(2)) if found else "body"
        raise ConfigError(field, message) from None
    _check_together(config)
    return config


def _check_together(config: Config) -> None:
    """What no single field shows: not-a-number, and shares that are disjoint but sum over 1."""
    for name in field_names():
        value = getattr(config, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(name, "must be a finite number")
    for names in (CHAT_SHARES, REQUEST_SHARES):
        if sum(getattr(config, name) for name in names) > 1:
            raise ConfigError(names[0], f"{', '.join(names)} are disjoint and must not sum over 1")
    if config.burst_429_every_seconds and config.burst_429_length_seconds > config.burst_429_every_seconds:
        raise ConfigError("burst_429_length_seconds", "must not be longer than burst_429_every_seconds")


def from_text(values: Mapping[str, str], current: Config) -> Config:
    """`current` with settings given as text: lists are separated by commas. Raises ConfigError."""
    changes: dict[str, object] = {}
    for name, text in values.items():
        if name in _LISTS:
            changes[name] = [part.strip() for part in text.split(",") if part.strip()]
        else:
            changes[name] = text.strip()
    return changed(current, changes, lax=True)


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings found in the environment: TELEGRAM_SIMULATOR_BLOCKED_SHARE sets blocked_share."""
    found = {name: environment.get(ENVIRONMENT_PREFIX + name.upper()) for name in field_names()}
    return {name: text for name, text in found.items() if text is not None}
