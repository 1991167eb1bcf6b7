"""The ledger keeps every field exactly, filters, sums up, and stays small."""

import asyncio
import tracemalloc
from hashlib import sha256

from telegram_simulator.ledger import Entry, Filter, Ledger, Summary
from telegram_simulator.outcomes import Outcome


def make_ledger() -> Ledger:
    times = iter(range(1_800_000_000_123_456, 1_900_000_000_000_000, 1000))
    return Ledger(lambda: next(times))


def put(ledger: Ledger, chat_id, outcome=Outcome.DELIVERED, bot_id=1, status=200) -> None:
    ledger.append(
        bot_id=bot_id,
        method="sendMessage",
        chat_id=chat_id,
        text="é",
        outcome=outcome,
        status=status,
        message_id=9,
    )


def read(ledger: Ledger, **wanted) -> list[Entry]:
    return [entry for chunk in ledger.read(Filter(**wanted), chunk=2) for entry in chunk]


def summary(ledger: Ledger, **wanted) -> Summary:
    return asyncio.run(ledger.summarise(Filter(**wanted), pause=lambda: asyncio.sleep(0), chunk=2))


def test_an_entry_comes_back_as_it_was_put_in():
    ledger = make_ledger()
    put(ledger, -1001234567890)
    assert read(ledger) == [
        Entry(
            seq=1,
            bot_id=1,
            method="sendMessage",
            chat_id=-1001234567890,
            text_sha256=sha256("é".encode()).hexdigest(),
            at=1_800_000_000.123456,
            outcome="delivered",
            status=200,
            message_id=9,
        )
    ]


def test_what_was_not_known_is_null():
    ledger = make_ledger()
    for chat in ("@shop", None, "@shop"):
        ledger.append(
            bot_id=None, method="sendPhoto", chat_id=chat, text=None, outcome=Outcome.BAD_REQUEST, status=None
        )
    assert [entry.chat_id for entry in read(ledger)] == ["@shop", None, "@shop"]
    entry = read(ledger)[0]
    assert (entry.bot_id, entry.text_sha256, entry.status, entry.message_id) == (None, None, None, None)


def test_filters_select_by_bot_chat_and_position():
    ledger = make_ledger()
    for bot, chat in ((1, 10), (2, 10), (1, 11), (2, 11), (1, 10)):
        put(ledger, chat, bot_id=bot)
    assert [entry.seq for entry in read(ledger, bot_id=1)] == [1, 3, 5]
    assert [entry.seq for entry in read(ledger, chat_id=10)] == [1, 2, 5]
    assert [entry.seq for entry in read(ledger, since_seq=3)] == [4, 5]
    assert [entry.seq for entry in read(ledger, since_seq=1, bot_id=1, chat_id=10)] == [5]
    assert read(ledger, since_seq=99) == []


def test_the_summary_counts_outcomes_statuses_and_chats_reached_twice():
    ledger = make_ledger()
    put(ledger, 1)
    put(ledger, 2)
    put(ledger, 2, Outcome.DROPPED_AFTER_DELIVERY, status=None)
    put(ledger, 3, Outcome.BLOCKED, status=403)
    put(ledger, 3, Outcome.RATE_LIMITED, status=429)
    assert summary(ledger) == Summary(
        total=5,
        by_outcome={"delivered": 2, "dropped_after_delivery": 1, "blocked": 1, "rate_limited": 1},
        by_status={"none": 1, "200": 2, "403": 1, "429": 1},
        chats_delivered=2,
        chats_delivered_more_than_once=1,
    )
    assert summary(ledger, since_seq=3, bot_id=1).total == 2
    assert summary(ledger, bot_id=7) == Summary(0, {}, {}, 0, 0)


def test_clearing_forgets_all_but_the_count_of_entries():
    ledger = make_ledger()
    put(ledger, 1)
    put(ledger, 2)
    assert ledger.clear() == 2
    assert read(ledger) == []
    put(ledger, 3)
    assert [entry.seq for entry in read(ledger, since_seq=2)] == [3]
    assert [entry.seq for entry in read(ledger)] == [3]


def test_a_reader_sees_one_moment_while_entries_arrive_and_the_ledger_is_cleared():
    ledger = make_ledger()
    for chat in range(5):
        put(ledger, chat)
    reader = ledger.read(Filter(), chunk=2)
    seen = next(reader)
    put(ledger, 99)
    ledger.clear()
    for chunk in reader:
        seen += chunk
    assert [entry.chat_id for entry in seen] == [0, 1, 2, 3, 4]


def test_a_million_entries_would_fit_in_a_hundred_megabytes():
    ledger, entries = make_ledger(), 20_000
    tracemalloc.start()
    try:
        for chat in range(entries):
            put(ledger, 10**10 + chat)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / entries < 100
