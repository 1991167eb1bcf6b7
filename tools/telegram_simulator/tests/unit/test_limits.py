"""Flood control on a clock moved by hand."""

import random

import pytest
from telegram_simulator.config import Config
from telegram_simulator.limits import SECOND, BotLimits, KeyedWindows, SlidingWindow


def test_never_more_than_the_limit_in_any_window_whatever_the_arrivals():
    chance, window, admitted, now = random.Random(7), SlidingWindow(SECOND), [], 0
    for _ in range(5000):
        now += chance.randrange(0, 60_000_000)
        if not window.wait(10, now):
            window.add(now)
            admitted.append(now)
    for first, eleventh in zip(admitted, admitted[10:], strict=False):
        assert eleventh - first >= SECOND
    # Exact, not merely safe: the mean arrival rate is over the limit, so nearly all of it is used.
    assert len(admitted) > 0.95 * 10 * now / SECOND


def test_the_wait_it_tells_is_exact_to_the_nanosecond():
    window = SlidingWindow(SECOND)
    window.add(100)
    window.add(200)
    assert window.wait(2, 300) == SECOND - 200
    assert window.wait(2, 100 + SECOND - 1) == 1
    assert window.wait(2, 100 + SECOND) == 0


def test_a_limit_lowered_at_run_time_holds_at_once():
    window = SlidingWindow(SECOND)
    for moment in (0, 10, 20):
        window.add(moment)
    assert window.wait(5, 30) == 0
    assert window.wait(1, 30) == 20 + SECOND - 30


def test_limit_zero_is_no_limit():
    limits, config = BotLimits(), Config(bot_per_second=0, chat_per_second=0)
    assert [limits.admit(config, 1, 0) for _ in range(500)] == [0] * 500


def test_a_private_chat_gets_one_message_a_second_by_default():
    limits, config = BotLimits(), Config(chat_429_stops_bot=False)
    assert limits.admit(config, 7, 0) == 0
    assert limits.admit(config, 7, SECOND - 1) == 1
    assert limits.admit(config, 8, SECOND - 1) == 0
    assert limits.admit(config, 7, SECOND) == 0


def test_a_group_gets_twenty_messages_a_minute_by_default():
    limits, config = BotLimits(), Config(chat_429_stops_bot=False)
    admitted = [limits.admit(config, -100, second * SECOND) for second in range(21)]
    assert admitted == [0] * 20 + [40]
    assert limits.admit(config, -100, 60 * SECOND) == 0
    assert limits.admit(config, -100, 60 * SECOND) == 1


def test_after_a_429_the_bot_is_stopped_for_the_whole_of_retry_after():
    limits, config = BotLimits(), Config(bot_per_second=1)
    limits.admit(config, 1, 0)
    assert limits.admit(config, 2, SECOND // 2) == 1
    assert limits.stopped_for(SECOND // 2 + SECOND - 1) == 1
    assert limits.stopped_for(SECOND // 2 + SECOND) == 0


@pytest.mark.parametrize(("stops_bot", "stopped"), [(True, 1), (False, 0)])
def test_a_chats_429_stops_the_bot_only_when_set_so(stops_bot, stopped):
    limits, config = BotLimits(), Config(chat_429_stops_bot=stops_bot)
    limits.admit(config, 1, 0)
    assert limits.admit(config, 1, 0) == 1
    assert limits.stopped_for(0) == stopped


def test_a_refused_request_does_not_use_up_the_limit():
    limits, config = BotLimits(), Config(chat_429_stops_bot=False, bot_per_second=2)
    limits.admit(config, 1, 0)
    limits.admit(config, 1, 1)
    assert limits.admit(config, 2, 2) == 0


def test_chats_windows_survive_the_generations_and_idle_chats_are_forgotten(clock):
    windows = KeyedWindows(SECOND)
    for chat in range(1000):
        windows.wait(chat, 1, clock())
        windows.add(chat, clock())
    clock.advance(0.999)
    windows.wait(-1, 1, clock())
    windows.add(-1, clock())
    clock.advance(0.5)
    assert windows.wait(-1, 1, clock()) == SECOND // 2
    clock.advance(2)
    assert windows.wait(5, 1, clock()) == 0
    assert len(windows) == 0


def test_paid_messages_have_a_limit_of_their_own_but_no_chats_of_their_own():
    limits, config = BotLimits(), Config(bot_per_second=1, paid_per_second=3, chat_429_stops_bot=False)
    assert [limits.admit(config, chat, 0, paid=True) for chat in (1, 2, 3)] == [0, 0, 0]
    assert limits.admit(config, 4, 0) == 0
    assert limits.admit(config, 1, 0) == 1
    assert limits.admit(config, 5, 0, paid=True) == 1
