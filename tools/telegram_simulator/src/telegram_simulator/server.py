"""The HTTP edge: granian (RSGI, one process, one event loop) in front of the pure parts.

Granian was chosen by measurement (see the README). An answer is dropped by handing its HTTP layer two
Content-Length headers that contradict each other: it refuses to write such a head and closes the
connection, so the client gets no byte, which is what a lost answer looks like. A test holds that.
"""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs, unquote

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

# Granian's public names, but its module re-exports them without an __all__.
from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]
from granian.server.embed import Server

from telegram_simulator.bot_api import Answer, BotApi, error
from telegram_simulator.config import Config, ConfigError
from telegram_simulator.ledger import Filter, Ledger
from telegram_simulator.parameters import read_parameters

_JSON = [("content-type", "application/json")]
_NDJSON = [("content-type", "application/x-ndjson")]
_CONTRADICTION = [("content-length", "1"), ("content-length", "2")]
# Slow answers hold their place for seconds; thousands of them must not keep others out.
_MOST_REQUESTS_AT_ONCE = 100_000
_BACKLOG = 4096

_json = msgspec.json.Encoder()
_changes = msgspec.json.Decoder(dict[str, object])


class PortTaken(OSError):
    """Somebody else listens on the address."""


class Simulator:
    """The RSGI application: `__rsgi__` is called once per request."""

    def __init__(self, config: Config) -> None:
        started, epoch_us = time.monotonic_ns(), time.time_ns() // 1000

        def now_us() -> int:
            # Anchored once: a step of the wall clock cannot reorder the ledger.
            return epoch_us + (time.monotonic_ns() - started) // 1000

        self.api = BotApi(config, Ledger(now_us), clock=time.monotonic_ns, now=lambda: now_us() / 1_000_000)
        self._routes: dict[tuple[str, str], Callable[[Scope, HTTPProtocol], Awaitable[None]]] = {
            ("GET", "/healthz"): self._healthz,
            ("GET", "/config"): self._get_config,
            ("PATCH", "/config"): self._patch_config,
            ("GET", "/ledger"): self._ledger,
            ("DELETE", "/ledger"): self._clear,
            ("GET", "/ledger/summary"): self._summary,
        }

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        path = scope.path
        if path.startswith("/bot"):
            await self._bot_call(path, scope, protocol)
            return
        route = self._routes.get((scope.method, path))
        if route is None:
            _answer(protocol, error(404, "Not Found"))
            return
        try:
            await route(scope, protocol)
        except ConfigError as wrong:
            body = {"ok": False, "error_code": 422, "field": wrong.field, "description": str(wrong)}
            protocol.response_bytes(422, _JSON, _json.encode(body))

    async def _bot_call(self, path: str, scope: Scope, protocol: HTTPProtocol) -> None:
        token, slash, method = unquote(path[4:]).partition("/")
        body = await protocol()
        if not slash or scope.method not in ("GET", "POST"):
            _answer(protocol, error(404, "Not Found"))
            return

        def read() -> Mapping[str, object]:
            return read_parameters(scope.query_string, scope.headers.get("content-type", ""), body)

        answer = self.api.call(token, method, read)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.dropped:
            with contextlib.suppress(ProtocolClosed):
                await protocol.response_stream(200, _CONTRADICTION).send_bytes(b"-")
            return
        _answer(protocol, answer)

    async def _healthz(self, scope: Scope, protocol: HTTPProtocol) -> None:
        body = {"status": "ok", "ledger_entries": len(self.api.ledger)}
        protocol.response_bytes(200, _JSON, _json.encode(body))

    async def _get_config(self, scope: Scope, protocol: HTTPProtocol) -> None:
        protocol.response_bytes(200, _JSON, _json.encode(self.api.config))

    async def _patch_config(self, scope: Scope, protocol: HTTPProtocol) -> None:
        try:
            changes = _changes.decode(await protocol())
        except (msgspec.DecodeError, UnicodeDecodeError) as broken:
            raise ConfigError("body", f"must be a JSON object: {broken}") from None
        protocol.response_bytes(200, _JSON, _json.encode(self.api.configure(changes)))

    async def _ledger(self, scope: Scope, protocol: HTTPProtocol) -> None:
        wanted = _filter(scope.query_string)
        stream = protocol.response_stream(200, _NDJSON)
        with contextlib.suppress(ProtocolClosed):  # The reader went away: nothing is left to do.
            for entries in self.api.ledger.read(wanted):
                if entries:
                    await stream.send_bytes(_json.encode_lines(entries))
                await asyncio.sleep(0)

    async def _summary(self, scope: Scope, protocol: HTTPProtocol) -> None:
        summary = await self.api.ledger.summarise(_filter(scope.query_string), pause=lambda: asyncio.sleep(0))
        protocol.response_bytes(200, _JSON, _json.encode(summary))

    async def _clear(self, scope: Scope, protocol: HTTPProtocol) -> None:
        protocol.response_bytes(200, _JSON, _json.encode({"cleared": self.api.clear()}))


def _answer(protocol: HTTPProtocol, answer: Answer) -> None:
    headers = [*_JSON, ("retry-after", str(answer.retry_after))] if answer.retry_after else _JSON
    protocol.response_bytes(answer.status, headers, answer.body)


def _filter(query: str) -> Filter:
    given: dict[str, int] = {}
    for name, values in parse_qs(query, keep_blank_values=True).items():
        if name not in Filter._fields:
            raise ConfigError(name, f"unknown filter; known are {', '.join(Filter._fields)}")
        try:
            given[name] = int(values[-1])
        except ValueError:
            raise ConfigError(name, "must be a whole number") from None
    return Filter(**given)


def check_port(host: str, port: int) -> None:
    """Raises PortTaken when the address cannot be listened on.

    Asked beforehand, because granian shares ports: a second simulator would take half of the first's traffic.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connections of the last run that still linger are no obstacle; a listener is.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as cause:
        raise PortTaken(f"cannot listen on {host}:{port}: {cause.strerror}") from cause


async def serve(config: Config, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, lets the requests under way finish, and returns.

    The caller has asked `check_port` before.
    """
    server = Server(
        Simulator(config),
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_MOST_REQUESTS_AT_ONCE,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
