"""The Campaigns API as the demo calls it: plain HTTP through the gateway."""

from typing import Any

import httpx


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to look at."""


class Api:
    """Answers the `data` of the envelope; anything but success raises DemoError with the server's words."""

    def __init__(self, base_url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{base_url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            trust_env=False,
        )

    async def call(self, method: str, path: str, *, allow: tuple[int, ...] = (), **request: Any) -> Any:
        """`data`, or None when the status is in `allow`."""
        answer = await self._http.request(method, path, **request)
        if answer.status_code in allow:
            return None
        if answer.is_success:
            return answer.json()["data"]
        raise DemoError(f"{method} {path} answered {answer.status_code}: {answer.text[:600]}")

    async def every(self, path: str, field: str, **params: Any) -> list[dict[str, Any]]:
        """All rows of a list that pages by cursor."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self.call("GET", path, params={**params, **({"cursor": cursor} if cursor else {})})
            rows += page[field]
            cursor = page["nextCursor"]
            if cursor is None:
                return rows

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()
