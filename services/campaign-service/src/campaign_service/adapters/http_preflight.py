"""Preflight over HTTP: the only synchronous call between services.

`POST {EXECUTION_SERVICE_URL}/internal/preflight` with a bearer token both services know. Whatever
goes wrong, in the time allowed, is DependencyDown: nothing is started on a guess.
"""

import asyncio

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from service_kit.errors import DependencyDown
from service_kit.logging import get_logger

from campaign_service.application.ports import Bot, PreflightAnswer, PreflightQuery
from campaign_service.metrics import PREFLIGHT_SECONDS

log = get_logger()


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class _Bot(_Wire):
    id: str
    name: str
    per_second: float = Field(gt=0)
    paid_per_second: float = Field(ge=0)


class _Answer(_Wire):
    total_count: int = Field(ge=0)
    targeted: int = Field(ge=0)
    bots: list[_Bot]
    testers: int = Field(ge=0)
    suppressed: dict[str, int] = Field(default_factory=dict)


class HttpPreflight:
    """The port `Preflight`. `timeout_seconds` bounds the whole call."""

    def __init__(self, base_url: str, *, token: str, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_seconds,
            trust_env=False,  # a proxy in the environment is for the outside world
        )

    async def ask(self, query: PreflightQuery) -> PreflightAnswer:
        """What an execution would meet now. Raises DependencyDown."""
        try:
            with PREFLIGHT_SECONDS.time():
                async with asyncio.timeout(self._timeout):
                    response = await self._client.post("/internal/preflight", json=_body(query))
            response.raise_for_status()
            answer = _Answer.model_validate_json(response.content)
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            log.warning("preflight.failed", reason=type(error).__name__)
            raise DependencyDown(
                "the execution service does not answer; the campaign was not started"
            ) from error
        return PreflightAnswer(
            total_count=answer.total_count,
            targeted=answer.targeted,
            bots=tuple(Bot(bot.id, bot.name, bot.per_second, bot.paid_per_second) for bot in answer.bots),
            testers=answer.testers,
            suppressed=answer.suppressed,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _body(query: PreflightQuery) -> dict[str, object]:
    body: dict[str, object] = {
        "org": query.org,
        "segments": list(query.segments),
        "filters": None if query.filters is None else dict(query.filters),
        "excludeSegments": list(query.exclude_segments),
        "testMode": query.test_mode,
        "targetPercentage": query.target_percentage,
        "samplingSeed": query.sampling_seed,
        "botIds": list(query.bot_ids),
    }
    if (retry := query.retry) is not None:
        body["retry"] = {"of": retry.of, "statuses": retry.statuses, "errorCodes": retry.error_codes}
    return body
