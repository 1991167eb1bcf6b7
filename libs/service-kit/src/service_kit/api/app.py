"""The app factory: what every API process answers, beside its own routers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service_kit.api.deadline import Deadline
from service_kit.api.errors import failure, install
from service_kit.api.implied import SCHEME
from service_kit.api.middleware import LimitBody, Observe
from service_kit.api.openapi import complete
from service_kit.auth import Authenticator, NotAuthenticated, Principal, Role, RoleTooLow
from service_kit.errors import ServiceError
from service_kit.idempotency.once import Idempotency
from service_kit.settings import ServiceSettings

PREFIX = "/api/v1"
_bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name=SCHEME,
    description="A JWT with `sub`, `org` and `role`: `viewer` reads, `editor` writes, `admin` keeps secrets.",
)
_GATEWAY_CODES = {
    502: ("BAD_GATEWAY", "the service behind this address does not answer"),
    503: ("SERVICE_UNAVAILABLE", "the service behind this address is not available"),
    504: ("GATEWAY_TIMEOUT", "the service behind this address took too long"),
}


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def _authenticated(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    if credentials is None:
        raise NotAuthenticated
    authenticator: Authenticator = request.app.state.authenticator
    principal = await authenticator.principal(credentials.credentials)
    request.state.principal = principal
    return principal


def at_least(role: Role) -> Callable[..., Awaitable[Principal]]:
    """A FastAPI dependency: the caller, if its role reaches `role`."""

    async def check(request: Request, credentials: Credentials) -> Principal:
        principal = await _authenticated(request, credentials)
        if principal.role < role:
            raise RoleTooLow(f"this needs the role {role.name.lower()}")
        return principal

    return check


# The scope is the role's name: the document shows it as the role that the operation needs.
Viewer = Annotated[Principal, Security(at_least(Role.VIEWER), scopes=["viewer"])]
Editor = Annotated[Principal, Security(at_least(Role.EDITOR), scopes=["editor"])]
Admin = Annotated[Principal, Security(at_least(Role.ADMIN), scopes=["admin"])]


class Api(FastAPI):
    """FastAPI with a document that tells everything; see `service_kit.api.openapi`."""

    max_body_bytes: int
    examples: Path | None

    def openapi(self) -> dict[str, Any]:
        """The service's part of the API's document; made afresh, for tools and tests only."""
        self.openapi_schema = None
        return complete(super().openapi(), max_body_bytes=self.max_body_bytes, examples=self.examples)


def create_api(
    *,
    title: str,
    routers: Sequence[APIRouter],
    settings: ServiceSettings,
    statuses: Mapping[type[ServiceError], int],
    raw_paths: Collection[str] = (),
    internal_routers: Sequence[APIRouter] = (),
    lifespan: Callable[[], Any] | None = None,
    examples: Path | None = None,
    idempotency: Idempotency | None = None,
) -> FastAPI:
    """The service's FastAPI app: `routers` under /api/v1 behind the envelope, `internal_routers` beside it.

    `raw_paths` are path suffixes whose POST takes a stream (no body limit, any media type).
    `lifespan` is a function giving an async context manager entered while the app serves.
    `idempotency` is what routes with `Once` work with.
    `examples` is the folder of the document's examples (`createCampaign.request.json` and so on).
    """

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
        else:
            async with lifespan():
                yield

    app = Api(title=title, version="1", lifespan=run, docs_url=None, redoc_url=None, openapi_url=None,
              redirect_slashes=False)  # fmt: skip
    app.max_body_bytes, app.examples = settings.max_body_bytes, examples
    app.state.authenticator = Authenticator(settings)
    app.state.idempotency = idempotency
    install(app, statuses)
    app.add_middleware(
        Deadline,
        seconds=settings.request_timeout_seconds,
        database_seconds=min(settings.mongo_timeout_ms / 1000, settings.request_timeout_seconds - 0.2),
        raw_paths=tuple(raw_paths),
    )
    app.add_middleware(LimitBody, max_bytes=settings.max_body_bytes, raw_paths=tuple(raw_paths))
    app.add_middleware(Observe)
    for router in routers:
        app.include_router(router, prefix=PREFIX)
    for router in internal_routers:
        app.include_router(router, include_in_schema=False)

    @app.get("/gateway-errors/{status}", include_in_schema=False)
    async def gateway_error(request: Request, status: int) -> JSONResponse:
        """What the gateway shows when it cannot reach a service."""
        known = status if status in _GATEWAY_CODES else 502
        code, message = _GATEWAY_CODES[known]
        return failure(request, known, code, message)

    return app
