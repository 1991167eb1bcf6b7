"""Structured logs: one JSON object a line, on standard output, one wide line per unit of work.

Nothing that could be a secret or a person leaves: values under the names in `REDACTED` are replaced,
and bot tokens and signing secrets are cut out of every text, tracebacks included.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

REDACTED = frozenset(
    {"token", "secret", "authorization", "password", "text", "content", "first_name", "chat_id"}
)
_SECRET_SHAPES = re.compile(r"\d{5,}:[A-Za-z0-9_-]{10,}|whsec_[A-Za-z0-9+/=]+|eyJ[\w-]+\.[\w-]+\.[\w-]+")


def redact(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: no secrets, no personal data."""
    for key, value in event.items():
        if key in REDACTED:
            event[key] = "[redacted]"
        elif isinstance(value, str):
            event[key] = _SECRET_SHAPES.sub("[redacted]", value)
    return event


def _dumps(value: Any, **_: Any) -> bytes:
    return orjson.dumps(value, default=str)


class _Lines:
    """Writes each line whole to standard output, as it is at that moment."""

    def msg(self, line: bytes) -> None:
        """One line."""
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def configure(process: str, level: str) -> None:
    """Log as `process` (such as `campaign-api`) from `level` on; the standard library's loggers too."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    finish: list[Any] = [redact, structlog.processors.JSONRenderer(serializer=_dumps)]
    # Our own lines do not pass through the standard library: that was a tenth of a request's time.
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_foreign(shared)]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "pymongo", "uvicorn.access", "asyncio", "httpx"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.contextvars.bind_contextvars(process=process)


def _foreign(shared: list[Any]) -> logging.Handler:
    """What libraries log, in the same form."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                structlog.processors.JSONRenderer(serializer=lambda value, **_: _dumps(value).decode()),
            ],
        )
    )
    return handler


def get_logger() -> Any:
    """A bound logger; call it with an event name and ids: `log.info("event.handled", event_id=…)`."""
    return structlog.get_logger()
