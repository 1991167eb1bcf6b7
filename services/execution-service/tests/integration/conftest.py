"""The API on a real database, with a small Telegram beside it."""

import base64
import time
from collections.abc import AsyncIterator, Callable
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
