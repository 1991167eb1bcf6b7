"""`Idempotency-Key` for routes.

    @router.post("/campaigns", status_code=201, response_model=Success[CampaignOut])
    async def post_campaign(body: CampaignIn, caller: Editor, parts: Parts, once: Once) -> Response:
        return await once(
            lambda transactions: create_campaign(body.to_domain(), …, transactions=transactions),
            answer=lambda campaign: Answer(201, Success(data=shown(campaign)), headers={"ETag": …}),
        )

The use case must work through the `transactions` that it is given; see `service_kit.idempotency.once` for
what it may do. `response_model` describes the answer in the document; its bytes are made here.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from service_kit.idempotency.keys import KeyedRequest, Recorded, fingerprint
from service_kit.idempotency.once import Idempotency
from service_kit.ports import Transactions

T = TypeVar("T")
NAME = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
Key = Annotated[
    str | None,
    Header(
        alias=NAME,
        min_length=1,
        max_length=255,
        pattern="^[ -~]+$",
        description="Makes the request safe to repeat for 24 h: the same key and body get the first answer "
        "again. Take a new one, such as a UUID, for each thing you mean to do.",
        examples=["9f2c1f5e-6a53-4c8e-9d0b-0a4d8f3b7a11"],
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answers: the model becomes the body, its fields by their aliases."""

    status: int
    content: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)

    def recorded(self) -> Recorded:
        """The answer to the byte."""
        return Recorded(self.status, dict(self.headers), self.content.model_dump_json(by_alias=True).encode())

    def response(self) -> Response:
        """The answer as it goes out."""
        return _response(self.recorded(), replayed=False)


class OnceForRequest:
    """Runs the use case of one request, under its key if it has one."""

    def __init__(self, request: Request, key: str | None) -> None:
        self._request = request
        self._key = key

    async def __call__(
        self,
        use_case: Callable[[Transactions], Awaitable[T]],
        *,
        answer: Callable[[T], Answer],
    ) -> Response:
        """The answer, the first or that one again.

        Raises KeyReused, KeyInFlight, and what the use case raises.
        """
        idempotency: Idempotency = self._request.app.state.idempotency
        if self._key is None:
            return answer(await use_case(idempotency.transactions)).response()
        recorded, replayed = await idempotency.once(
            await self._keyed(self._key), use_case, answer=lambda result: answer(result).recorded()
        )
        return _response(recorded, replayed=replayed)

    async def _keyed(self, key: str) -> KeyedRequest:
        request = self._request
        body = await request.body()
        # The caller was noted when its token was verified: a route with `Once` also asks for a role.
        org = request.state.principal.org
        return KeyedRequest(org, key, fingerprint(request.method, request.url.path, body))


def _response(recorded: Recorded, *, replayed: bool) -> Response:
    headers = dict(recorded.headers)
    if replayed:
        headers[REPLAYED] = "true"
    return Response(recorded.body, recorded.status, headers, media_type="application/json")


async def _once(request: Request, key: Key = None) -> OnceForRequest:
    if len(request.headers.getlist(NAME)) > 1:
        problem = {"loc": ("header", NAME), "msg": "must be given once", "type": "value_error"}
        raise RequestValidationError([problem])
    return OnceForRequest(request, key)


Once = Annotated[OnceForRequest, Depends(_once)]
"""A route's `once`. The app needs `create_api(idempotency=…)`."""
