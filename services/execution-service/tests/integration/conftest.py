"""The API on a real database, with a small Telegram beside it, and the Telegram simulator."""

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web
from execution_service.bootstrap import Wiring
from execution_service.entrypoints.api.app import build_app
from execution_service.settings import Settings
from motor.motor_asyncio import AsyncIOMotorDatabase
from pydantic import SecretStr

DEADLINE = 20.0
SECRET = "a-secret-of-at-least-thirty-two-bytes"
INTERNAL_TOKEN = "the-internal-token"
KEYS = "k1:" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture(scope="session")
async def telegram_url() -> AsyncIterator[str]:
    """`getMe` as Telegram answers it: a secret that starts with `good` is known, `slow` never answers well."""

    async def get_me(request: web.Request) -> web.Response:
        number, _, secret = request.match_info["token"].partition(":")
        if secret.startswith("slow"):
            return web.Response(status=502, text="<html>bad gateway</html>")
        if not secret.startswith("good"):
            refusal = {"ok": False, "error_code": 401, "description": "Unauthorized"}
            return web.json_response(refusal, status=401)
        result = {"id": int(number), "is_bot": True, "first_name": "B", "username": f"bot{number}_bot"}
        return web.json_response({"ok": True, "result": result})

    app = web.Application()
    app.router.add_get("/bot{token}/getMe", get_me)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def wiring(
    mongo_url: str, telegram_url: str, mongo_database: AsyncIOMotorDatabase[dict[str, Any]]
) -> AsyncIterator[Wiring]:
    """The service's parts on an empty database."""
    settings = Settings(
        kafka_bootstrap_servers="unused",
        mongo_url=SecretStr(mongo_url),
        mongo_timeout_ms=10_000,
        redis_url=SecretStr("redis://unused"),
        jwt_secret=SecretStr(SECRET),
        encryption_keys=SecretStr(KEYS),
        internal_token=SecretStr(INTERNAL_TOKEN),
        telegram_api_base_url=telegram_url,
    )
    wiring = Wiring(settings, service=mongo_database.name)
    await wiring.prepare_audience()
    yield wiring
    await wiring.close()


@pytest.fixture
def token() -> Callable[..., str]:
    """Makes a bearer token."""

    def make(role: str = "admin", org: str = "acme") -> str:
        now = int(time.time())
        claims = {"iss": "campaigns", "aud": "campaigns-api", "sub": f"{role}-1", "org": org}
        return jwt.encode({**claims, "role": role, "iat": now, "exp": now + 600}, SECRET, algorithm="HS256")

    return make


@pytest.fixture
async def api(wiring: Wiring, token: Callable[..., str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, an admin of acme."""
    transport = httpx.ASGITransport(build_app(wiring), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


@dataclass(frozen=True)
class Telegram:
    """The simulator; every test has a bot of its own, so its ledger can be read by bot."""

    url: str

    def configure(self, **settings: Any) -> None:
        """Set faults; what is not named goes back to no faults and no limits."""
        calm = {
            "bot_per_second": 0, "paid_per_second": 0, "chat_per_second": 0, "group_per_minute": 0, "blocked_share": 0,
            "not_found_share": 0, "server_error_share": 0, "dropped_share": 0, "slow_share": 0,
            "burst_429_every_seconds": 0, "unauthorized_tokens": [], "blocked_chats": [], "not_found_chats": [],
        }  # fmt: skip
        httpx.patch(f"{self.url}/config", json={**calm, **settings}).raise_for_status()

    def ledger(self, bot: int) -> list[dict[str, Any]]:
        """Every send of `bot`, in order."""
        lines = httpx.get(f"{self.url}/ledger", params={"bot_id": bot}, timeout=20).text.splitlines()
        return [json.loads(line) for line in lines]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def simulator() -> Iterator[Telegram]:
    """A simulator process."""
    port = _free_port()
    command = [sys.executable, "-m", "telegram_simulator", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command)
    telegram = Telegram(f"http://127.0.0.1:{port}")
    until = time.monotonic() + DEADLINE
    while True:
        try:
            httpx.get(f"{telegram.url}/healthz").raise_for_status()
            break
        except httpx.HTTPError:
            assert time.monotonic() < until, "the simulator did not start"
            time.sleep(0.05)
    yield telegram
    process.terminate()
    process.wait()
