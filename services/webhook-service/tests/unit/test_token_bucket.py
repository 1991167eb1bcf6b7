"""So many requests a second, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webhook_service.domain.token_bucket import TokenBucket


@pytest.mark.parametrize(("rate", "burst"), [(1, 1), (10, 1), (100, 10), (1000, 100)])
def test_at_first_a_tenth_of_a_second_may_go_and_one_at_least(rate: int, burst: int):
    permits = TokenBucket(rate).take(5000, now=100.0)
    assert abs(permits.granted - burst) <= 1 <= permits.granted
    assert 0 < permits.wait_seconds <= 1 / rate + 1e-9


def test_the_next_one_may_go_after_the_wait():
    bucket = TokenBucket(2)
    wait = bucket.take(9, now=100.0).wait_seconds
    assert bucket.take(9, now=100.0 + wait - 0.01).granted == 0
    assert bucket.take(9, now=100.0 + wait + 0.001).granted == 1


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 300)), max_size=40),
)
def test_no_second_sees_more_than_the_rate_and_its_burst(rate: int, asks: list[tuple[float, int]]):
    bucket, now, sent = TokenBucket(rate), 1000.0, []
    for pause, wanted in asks:
        now += pause
        sent += [now] * bucket.take(wanted, now).granted
    for start in sent:
        assert sum(start <= at < start + 1 for at in sent) <= rate * 1.1 + 2
