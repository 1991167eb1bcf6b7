"""Tokens: what is believed and what is not."""

import time
from typing import Any

import jwt
import pytest
from pydantic import ValidationError
from service_kit.auth import Authenticator, NotAuthenticated, Role
from service_kit.settings import ServiceSettings

SECRET = "s" * 32
CLAIMS = {"iss": "campaigns-dev", "aud": "campaigns-api", "sub": "ann", "org": "acme", "role": "editor"}


def settings(**changes: Any) -> ServiceSettings:
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": "localhost:1",
        "mongo_url": "mongodb://localhost:1",
        "jwt_secret": SECRET,
        "jwt_issuer": "campaigns-dev",
    }
    return ServiceSettings(**(values | changes))


def token(*, key: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {**CLAIMS, "exp": time.time() + 60, **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm)


async def test_a_good_token_names_its_bearer():
    principal = await Authenticator(settings()).principal(token())
    assert (principal.org, principal.subject, principal.role) == ("acme", "ann", Role.EDITOR)


@pytest.mark.parametrize(
    "bad",
    [
        token(exp=time.time() - 60),
        token(exp=None),
        token(iss="somebody else"),
        token(aud="another-api"),
        token(sub=None),
        token(org=None),
        token(org="a/b"),
        token(org=["acme"]),
        token(role="emperor"),
        token(role=None),
        token(key="x" * 32),
        token(algorithm="HS512"),
        jwt.encode({**CLAIMS, "exp": time.time() + 60}, None, algorithm="none"),
        "",
        "not.a.token",
        token()[:-3] + "abc",
    ],
)
async def test_a_token_with_one_thing_wrong_is_refused(bad: str):
    with pytest.raises(NotAuthenticated):
        await Authenticator(settings()).principal(bad)


def test_hmac_and_public_key_algorithms_never_mix():
    with pytest.raises(ValidationError, match="no other kind of algorithm"):
        settings(jwt_algorithms="HS256,RS256")
    with pytest.raises(ValidationError, match="JWT_JWKS_URL"):
        settings(jwt_algorithms="RS256")
    with pytest.raises(ValidationError, match="JWT_SECRET"):
        settings(jwt_secret=None)


def test_a_secret_may_come_from_a_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "jwt").write_text("from-a-file\n", encoding="utf-8")
    monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "jwt"))
    monkeypatch.delenv("JWT_SECRET", raising=False)
    made = ServiceSettings(kafka_bootstrap_servers="localhost:1", mongo_url="mongodb://localhost:1")
    assert made.jwt_secret is not None
    assert made.jwt_secret.get_secret_value() == "from-a-file"


@pytest.mark.parametrize(("lives", "passed"), [(10, 11), (600, 31)])
async def test_a_known_token_is_verified_again_after_its_end_or_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, lives: int, passed: int
):
    authenticator, good = Authenticator(settings()), token(exp=int(time.time()) + lives)
    await authenticator.principal(good)
    monkeypatch.setattr(authenticator, "_secret", "y" * 32)
    await authenticator.principal(good)
    later = time.time() + passed
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(NotAuthenticated):
        await authenticator.principal(good)


async def test_only_so_many_tokens_are_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Authenticator, "known_tokens", 3)
    authenticator = Authenticator(settings())
    for number in range(8):
        await authenticator.principal(token(sub=str(number)))
        assert len(authenticator._known) <= 3
