"""Preflight and forecast over HTTP: the only synchronous calls between services.

`POST {EXECUTION_SERVICE_URL}/internal/preflight` and `/internal/forecast` with a bearer token both services
know. Whatever goes wrong, in the time allowed, is DependencyDown: nothing is started or told on a guess.
"""

import asyncio
from datetime import datetime
from typing import TypeVar

import httpx
from contracts.events.campaign import ExecutionSnapshot
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from service_kit.errors import DependencyDown
from service_kit.logging import get_logger

from campaign_service.application.ports import Bot, Forecast, PreflightAnswer, PreflightQuery
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


class _Forecast(_Wire):
    total_count: int = Field(ge=0)
    suppressed: dict[str, int]
    seconds: float | None = Field(ge=0)
    cost: float = Field(ge=0)


_Told = TypeVar("_Told", bound=_Wire)


class HttpPreflight:
    """The port `Preflight`. `timeout_seconds` bounds each call."""

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
        with PREFLIGHT_SECONDS.time():
            answer = await self._post("preflight", _body(query), _Answer)
        return PreflightAnswer(
            total_count=answer.total_count,
            targeted=answer.targeted,
            bots=tuple(Bot(bot.id, bot.name, bot.per_second, bot.paid_per_second) for bot in answer.bots),
            testers=answer.testers,
            suppressed=answer.suppressed,
        )

    async def foretell(self, org: str, snapshot: ExecutionSnapshot, *, begin: datetime) -> Forecast:
        """What it would come to, begun at `begin`. Raises DependencyDown."""
        body: dict[str, object] = {
            "org": org,
            "snapshot": snapshot.model_dump(mode="json", by_alias=True),
            "begin": begin.isoformat(),
        }
        told = await self._post("forecast", body, _Forecast)
        return Forecast(told.total_count, told.suppressed, told.seconds, told.cost)

    async def _post(self, name: str, body: dict[str, object], answer: type[_Told]) -> _Told:
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(f"/internal/{name}", json=body)
            response.raise_for_status()
            return answer.model_validate_json(response.content)
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            log.warning("preflight.failed", call=name, reason=type(error).__name__)
            raise DependencyDown(
                "the execution service does not answer; the campaign was not started"
            ) from error

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
