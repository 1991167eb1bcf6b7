"""Telegram's `getMe`: whom a bot token belongs to. Source: https://core.telegram.org/bots/api#getme

The token is part of the address, so no exception of the HTTP client and no address is ever logged or
passed on from here.
"""

import json
from datetime import timedelta
from typing import Any

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from service_kit.errors import DependencyDown

from execution_service.domain.bot import BotIdentity

MAX_ANSWER_BYTES = 64 * 1024
REFUSED = (401, 404)
"""401 for a token that is not (or no longer) valid, 404 for one that has not even the form."""


class TelegramGetMe:
    """Asks the Bot API at `base_url`, within `timeout` seconds in all."""

    def __init__(self, *, base_url: str, timeout: float) -> None:
        self._base_url = base_url
        self._timeout = timedelta(seconds=timeout)

    async def get_me(self, token: str) -> BotIdentity | None:
        """The bot behind `token`; None when Telegram refuses it. Raises DependencyDown."""
        asking = ClientBuilder().no_proxy().follow_redirects(False).timeout(self._timeout).build()
        try:
            async with (
                asking as client,
                client.get(f"{self._base_url}/bot{token}/getMe").build_streamed() as answer,
            ):
                status = answer.status
                body = await answer.body_reader.read(MAX_ANSWER_BYTES)
        except PyreqwestError:
            raise DependencyDown("Telegram does not answer, so the token cannot be checked") from None
        raw = bytes(body or b"")
        if status in REFUSED and _is_refusal(raw, status):
            return None
        return _identity(raw) if status == 200 else _unexpected()


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _is_refusal(body: bytes, status: int) -> bool:
    """Whether Telegram itself says so, and not a proxy that happens to answer 404."""
    parsed = _parsed(body)
    return parsed.get("ok") is False and parsed.get("error_code") == status


def _identity(body: bytes) -> BotIdentity:
    result = _parsed(body).get("result")
    if not isinstance(result, dict) or not isinstance(result.get("id"), int):
        return _unexpected()
    username = result.get("username")
    return BotIdentity(result["id"], username if isinstance(username, str) else None)


def _unexpected() -> BotIdentity:
    raise DependencyDown("Telegram did not answer as expected, so the token cannot be checked")
