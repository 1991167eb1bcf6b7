import stat
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from devstack import secrets
from devstack.errors import StackError

ENVIRONMENT = {"JWT_SECRET": "s" * 40, "JWT_ISSUER": "campaigns-dev", "JWT_AUDIENCE": "campaigns-api"}


def test_secrets_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    first = secrets.load_or_create(tmp_path)
    assert secrets.load_or_create(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600
    for keys in (first["ENCRYPTION_KEYS"], first["TRACKING_KEYS"]):
        name, key = keys.split(":")
        assert (name, len(b64decode(key))) == ("k1", 32)
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.env"]


def test_a_file_of_before_there_were_tracking_links_gets_its_key_and_keeps_the_rest(tmp_path: Path) -> None:
    first = secrets.load_or_create(tmp_path)
    file = tmp_path / "secrets.env"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("TRACKING_KEYS")))
    mended = secrets.load_or_create(tmp_path)
    assert mended | {"TRACKING_KEYS": ""} == first | {"TRACKING_KEYS": ""}
    assert mended["TRACKING_KEYS"] not in ("", first["TRACKING_KEYS"])
    assert secrets.load_or_create(tmp_path) == mended
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.env"]


def test_first_calls_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: secrets.load_or_create(tmp_path / "new"), range(8)))
    assert all(item == found[0] for item in found)


def test_a_damaged_secrets_file_is_reported_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("JWT_SECRET=abc\n")
    with pytest.raises(StackError, match="has no ENCRYPTION_KEYS, INTERNAL_TOKEN, TRACKING_KEYS"):
        secrets.load_or_create(tmp_path)
    assert (tmp_path / "secrets.env").read_text() == "JWT_SECRET=abc\n"


def test_a_token_has_every_claim_and_lives_twelve_hours() -> None:
    made = secrets.token(ENVIRONMENT, org="acme", role="editor")
    claims = jwt.decode(
        made, "s" * 40, algorithms=["HS256"], issuer="campaigns-dev", audience="campaigns-api"
    )
    assert claims["org"] == "acme"
    assert claims["role"] == "editor"
    assert claims["sub"] == "dev-editor"
    assert claims["exp"] - claims["iat"] == 12 * 3600


def test_an_unknown_role_gets_no_token() -> None:
    with pytest.raises(StackError, match="no role 'root'"):
        secrets.token(ENVIRONMENT, org="acme", role="root")
