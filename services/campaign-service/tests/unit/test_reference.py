"""The document and its page are served to everybody, and ask nobody else for anything."""

import json
import re
from typing import cast

import httpx
import pytest
from campaign_service.application.parts import ApiParts
from campaign_service.entrypoints.api.app import create_app
from service_kit.settings import ServiceSettings

SETTINGS = ServiceSettings(
    kafka_bootstrap_servers="localhost:1", mongo_url="mongodb://localhost:1", jwt_secret="s" * 32
)


class NoParts:
    """The reference needs none."""

    def __getattr__(self, _name: str) -> None:
        return None


def client() -> httpx.AsyncClient:
    app = create_app(cast(ApiParts, NoParts()), SETTINGS)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


async def test_the_document_is_served_without_a_token() -> None:
    async with client() as http:
        answer = await http.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)["info"]["title"] == "Campaigns API"


async def test_everything_that_the_page_asks_for_is_there_and_comes_from_here() -> None:
    async with client() as http:
        page = await http.get("/docs")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
        wanted = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
        assert len(wanted) == 5
        for path in wanted:
            assert (await http.get(path)).status_code == 200, path
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "http" not in policy


@pytest.mark.parametrize(
    "path", ["/docs/page/nothing.js", "/docs/swagger-ui/../page/index.htm", "/docs/other"]
)
async def test_what_is_not_there_wears_the_envelope(path: str) -> None:
    async with client() as http:
        answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"
