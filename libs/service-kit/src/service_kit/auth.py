"""Who is asking: a verified JWT becomes a `Principal`. PyJWT does the cryptography.

Required claims: exp, iss, aud, sub, org, and role. The algorithms come from the settings alone, never
from the token.
"""

import re
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import jwt
from starlette.concurrency import run_in_threadpool

from service_kit.errors import DependencyDown, ServiceError
from service_kit.settings import ServiceSettings

ORG_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class NotAuthenticated(ServiceError):
    """A valid bearer token is required."""

    code = "UNAUTHENTICATED"


class RoleTooLow(ServiceError):
    """Your role does not allow this."""

    code = "FORBIDDEN"


class Role(IntEnum):
    """What a token may do: viewer reads, editor writes, admin also handles secrets and erasure."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. Everything it sees belongs to `org`. The token ends at `expires_at`, epoch seconds."""

    org: str
    subject: str
    role: Role
    expires_at: float


class Authenticator:
    """Turns a bearer token into a Principal."""

    leeway_seconds: ClassVar[int] = 5
    known_seconds: ClassVar[float] = 30
    """How long a key that the issuer withdrew may still count."""
    known_tokens: ClassVar[int] = 10_000

    def __init__(self, settings: ServiceSettings) -> None:
        self._algorithms = settings.jwt_algorithms
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        url = settings.jwt_jwks_url
        self._jwks = jwt.PyJWKClient(url, cache_keys=True, timeout=3) if url else None
        self._known: dict[str, tuple[Principal, float]] = {}

    async def principal(self, token: str) -> Principal:
        """The caller behind `token`. Raises NotAuthenticated, or DependencyDown without the JWKS.

        A token that was good is taken for good for up to `known_seconds`, never beyond its own end.
        """
        now = time.time()
        principal, until = self._known.get(token, (None, 0.0))
        if principal is not None and now < until:
            return principal
        principal = await self._verified(token)
        if len(self._known) >= self.known_tokens:
            self._known.clear()
        self._known[token] = principal, min(principal.expires_at, now + self.known_seconds)
        return principal

    async def _verified(self, token: str) -> Principal:
        try:
            claims = jwt.decode(
                token,
                await self._key(token),
                algorithms=self._algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=self.leeway_seconds,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return _principal(claims)
        except jwt.ExpiredSignatureError as error:
            raise NotAuthenticated("the token has expired") from error
        except jwt.PyJWKClientConnectionError as error:
            raise DependencyDown("the token issuer's keys cannot be read") from error
        except (jwt.PyJWTError, ValueError, KeyError) as error:
            raise NotAuthenticated("the token is not valid") from error

    async def _key(self, token: str) -> Any:
        if self._jwks is None or self._secret is not None:
            return self._secret
        return (await run_in_threadpool(self._jwks.get_signing_key_from_jwt, token)).key


def _principal(claims: dict[str, Any]) -> Principal:
    org, subject, role = claims["org"], claims["sub"], claims["role"]
    if not isinstance(org, str) or not ORG_PATTERN.fullmatch(org):
        raise ValueError("org")
    if not isinstance(role, str):
        raise ValueError("role")
    expires_at = float(claims["exp"])
    return Principal(org=org, subject=str(subject), role=Role[role.upper()], expires_at=expires_at)
