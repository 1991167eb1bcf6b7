"""The route table on a real Traefik, with a small HTTP server in the place of each service."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from devstack.components.gateway import SERVICES
from devstack.stack import Stack

pytestmark = pytest.mark.integration


class StandIn(ThreadingHTTPServer):
    """Says who was asked for what; knows the paths that every service has."""

    daemon_threads = True

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.first_bytes = threading.Event()
        self.release = threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        if self.path == "/gateway-errors/502":
            self._answer(502, {"success": False, "error": {"code": "BAD_GATEWAY"}})
        elif self.path == "/api/v1/own-503":
            self._answer(503, {"success": False, "error": {"code": "DEPENDENCY_DOWN"}})
        elif self.path.endswith("/progress/stream"):
            self._stream()
        else:
            self._answer(200, {"service": self.server.name, "path": self.path})

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        left -= len(self.rfile.read(min(left, 1000)))
        self.server.first_bytes.set()
        while left > 0:
            left -= len(self.rfile.read(min(left, 65_536)))
        self._answer(200, {"service": self.server.name})

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        self.server.release.wait(10)
        self.wfile.write(b"data: last\n\n")

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def gateway(new_stack: Callable[..., Stack]) -> Iterator[Stack]:
    stack = new_stack({"gateway"})
    stack.up()
    yield stack
    stack.down()


@pytest.fixture
def services(gateway: Stack) -> Iterator[dict[str, StandIn]]:
    running = {name: StandIn(name, gateway.settings.port(f"{name}_api_port")) for name in SERVICES}
    yield running
    for server in running.values():
        server.stop()


@pytest.fixture
def client(gateway: Stack, services: dict[str, StandIn]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.settings.gateway_url, trust_env=False, timeout=10) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/campaigns", "campaign"),
        ("/campaigns?status=active", "campaign"),
        ("/campaigns/camp_1", "campaign"),
        ("/campaigns/camp_1/execute", "campaign"),
        ("/campaigns/camp_1/retry", "campaign"),
        ("/campaigns/camp_1/progress/streams", "campaign"),
        ("/campaigns/progress", "campaign"),
        ("/templates/tmpl_1", "campaign"),
        ("/contactsx", "campaign"),
        ("/nothing-here", "campaign"),
        *((f"/campaigns/camp_1/{part}", "execution") for part in (
            "progress", "audience", "recipients?status=failed", "executions", "responses", "draw")),
        ("/contacts", "execution"),
        ("/contacts/a%2Fb%20c", "execution"),
        ("/segments/seg123", "execution"),
        ("/bots", "execution"),
        ("/settings", "execution"),
        ("/settings", "execution"),
        ("/telegram/hook", "execution"),
        ("/campaigns/camp_1/statistics?period=7d", "stats"),
        ("/conversions", "stats"),
        ("/t/token", "stats"),
        ("/webhooks/wh_1/deliveries/dlv_1/retry", "webhook"),
    ],
)  # fmt: skip
def test_each_path_reaches_its_owner_unchanged(client: httpx.Client, path: str, service: str) -> None:
    answer = client.get(f"/api/v1{path}")
    assert answer.json() == {"service": service, "path": f"/api/v1{path}"}


@pytest.mark.parametrize("path", ["/docs", "/docs/page/page.js", "/api/v1/openapi.json"])
def test_the_reference_page_is_campaign_services(client: httpx.Client, path: str) -> None:
    assert client.get(path).json() == {"service": "campaign", "path": path}


@pytest.mark.parametrize(
    "path",
    ["/internal/preflight", "/docsx", "//internal/preflight", "/gateway-errors/502", "/metrics", "/livez", "/", "/api/v1",
     "/api/v1/%2e%2e/%2e%2e/internal/preflight"],
)  # fmt: skip
def test_what_is_internal_is_asked_as_a_path_that_no_service_has(client: httpx.Client, path: str) -> None:
    url = httpx.URL(client.base_url, raw_path=path.encode())
    assert client.get(url).json() == {"service": "campaign", "path": "/api/v1/nowhere"}


@pytest.mark.parametrize("dead", SERVICES)
def test_a_dead_service_is_a_502_in_the_envelope(
    client: httpx.Client, services: dict[str, StandIn], dead: str
) -> None:
    path = {
        "campaign": "/campaigns",
        "execution": "/contacts",
        "stats": "/conversions",
        "webhook": "/webhooks",
    }
    services[dead].stop()
    # As often as there are services: whichever is asked for the error page, the dead one is skipped.
    for _ in range(2 * len(SERVICES)):
        answer = client.get(f"/api/v1{path[dead]}")
        assert answer.status_code == 502
        assert answer.json() == {"success": False, "error": {"code": "BAD_GATEWAY"}}


def test_a_services_own_503_passes_untouched(client: httpx.Client) -> None:
    answer = client.get("/api/v1/own-503")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "DEPENDENCY_DOWN"


def test_events_arrive_while_the_answer_is_still_being_written(
    client: httpx.Client, services: dict[str, StandIn]
) -> None:
    with client.stream("GET", "/api/v1/campaigns/camp_1/progress/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        services["execution"].release.set()
        assert "data: last" in list(lines)


def test_an_upload_reaches_the_service_before_it_is_complete(
    client: httpx.Client, services: dict[str, StandIn]
) -> None:
    arrived_early = []

    def body() -> Iterator[bytes]:
        yield b"x" * 100_000
        arrived_early.append(services["execution"].first_bytes.wait(10))
        yield b"y" * 100_000

    answer = client.post("/api/v1/contacts/import", content=body(), headers={"Content-Length": "200000"})
    assert answer.json() == {"service": "execution"}
    assert arrived_early == [True]


def test_a_restarted_service_answers_again(client: httpx.Client, services: dict[str, StandIn]) -> None:
    port = services["stats"].server_port
    services["stats"].stop()
    assert client.get("/api/v1/conversions").status_code == 502
    services["stats"] = StandIn("stats", port)
    deadline = time.monotonic() + 5
    while client.get("/api/v1/conversions").status_code != 200:
        assert time.monotonic() < deadline
