"""Secrets stay secret: at rest and in the logs."""

import base64
import json
import logging

import pytest
from service_kit import logging as kit_logging
from service_kit.crypto import SecretBox, SecretUnreadable

KEY1 = "k1:" + base64.b64encode(bytes(range(32))).decode()
KEY2 = "k2:" + base64.b64encode(bytes(range(1, 33))).decode()
BOT_TOKEN = "123456789:AAbbCCddEEffGGhhIIjjKKllMM"


def test_a_secret_opens_for_its_owner_only():
    box = SecretBox(KEY1)
    sealed = box.seal(BOT_TOKEN, owner="acme/bot_1")
    assert BOT_TOKEN not in sealed
    assert box.open(sealed, owner="acme/bot_1") == BOT_TOKEN
    with pytest.raises(SecretUnreadable):
        box.open(sealed, owner="evil/bot_1")


def test_a_new_key_in_front_still_opens_what_the_old_one_sealed():
    sealed = SecretBox(KEY1).seal("x", owner="o")
    rotated = SecretBox(f"{KEY2},{KEY1}")
    assert rotated.open(sealed, owner="o") == "x"
    assert rotated.seal("x", owner="o").startswith("k2.")
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY2).open(sealed, owner="o")


@pytest.mark.parametrize("broken", ["", "k1.", "k1.!!!", "nonsense", "k1.AAAA"])
def test_a_broken_secret_is_unreadable_not_a_crash(broken: str):
    with pytest.raises(SecretUnreadable):
        SecretBox(KEY1).open(broken, owner="o")


@pytest.mark.parametrize("keys", ["", "k1:short", "k1:" + base64.b64encode(b"x" * 16).decode()])
def test_keys_that_are_no_keys_are_refused_at_start(keys: str):
    with pytest.raises(ValueError):
        SecretBox(keys)


def test_no_token_secret_or_jwt_reaches_the_log_not_even_in_a_traceback(capsys: pytest.CaptureFixture[str]):
    kept = logging.getLogger().handlers[:]
    try:
        kit_logging.configure("test", "INFO")
        try:
            raise ValueError(f"https://api.telegram.org/bot{BOT_TOKEN}/sendMessage whsec_c2VjcmV0c2VjcmV0")
        except ValueError:
            kit_logging.get_logger().error(
                "boom", token="abc", note="Bearer eyJhbGciOi.eyJzdWIi.c2ln", exc_info=True
            )
        logging.getLogger("some.library").warning("calling /bot%s/getMe", BOT_TOKEN)
    finally:
        logging.getLogger().handlers[:] = kept
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2
    for secret in (BOT_TOKEN, "whsec_c2V", "eyJhbGci", '"abc"'):
        assert secret not in "".join(lines)
    assert json.loads(lines[0])["event"] == "boom"
    assert "ValueError" in json.loads(lines[0])["exception"]
