"""Which headers a subscriber may have sent."""

import pytest
from webhook_service.domain.headers import broken_name_rule, broken_value_rule, named_twice


@pytest.mark.parametrize("name", ["Authorization", "X-Team", "x.y", "a", "X-Api-Key", "traceparent"])
def test_a_name_that_is_a_token_and_not_ours_may_be_set(name: str):
    assert broken_name_rule(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "Host", "hOST", "Content-Type", "content-length", "Content-Anything", "Transfer-Encoding", "Connection", "TE",
        "Upgrade", "Webhook-Id", "webhook-signature", "User-Agent", "Proxy-Authorization", "Cookie", "Trailer",
        "Keep-Alive", "Expect", "Accept", "Accept-Encoding", "X-Forwarded-For", "Forwarded",
    ],
)  # fmt: skip
def test_a_name_that_frames_or_signs_the_message_is_reserved(name: str):
    assert broken_name_rule(name) == "is reserved and cannot be set"


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "Ключ", "a\r\nb", "x" * 101, "a\n", "(a)"])
def test_a_name_that_is_no_token_is_refused(name: str):
    assert broken_name_rule(name) is not None


@pytest.mark.parametrize("value", ["x", "Bearer abc", "~", "x" * 1000])
def test_a_visible_value_may_be_sent(value: str):
    assert broken_value_rule(value) is None


@pytest.mark.parametrize("value", ["", " ", " x", "x ", "a\tb", "a\r\nX: y", "é", "a\x00", "x\n", "x" * 1001])
def test_a_value_that_could_break_the_message_is_refused(value: str):
    assert broken_value_rule(value) is not None


def test_capitals_do_not_make_another_name():
    assert named_twice(["X-A", "x-b", "x-a"]) == "x-a"
    assert named_twice(["X-A", "X-B"]) is None
