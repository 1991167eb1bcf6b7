"""Who got how many messages of late."""

from datetime import UTC, datetime, timedelta

from execution_service.domain.org_settings import FrequencyCap
from execution_service.domain.recent_sends import BLOCK_SIZE, Block, block_of, by_block
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 6, 1, 12, 0, 0, 500_000, tzinfo=UTC)
ONE_A_DAY = FrequencyCap(1, 24)


def test_a_contact_is_over_the_cap_until_the_hours_have_passed_since_the_latest_it_may_have_been_sent() -> (
    None
):
    assert by_block([513, 600, 7]) == {2: [513, 600], 0: [7]}
    block = Block(2).take([513, 600], "exec/0", until=NOW, cap=ONE_A_DAY, now=NOW)
    assert block.over(ONE_A_DAY, now=NOW) == {513, 600}
    assert block.over(ONE_A_DAY, now=NOW + timedelta(hours=24)) == {513, 600}
    assert block.over(ONE_A_DAY, now=NOW + timedelta(hours=24, seconds=1)) == frozenset()
    assert block.over(FrequencyCap(2, 24), now=NOW) == frozenset()


def test_another_try_of_a_message_is_no_other_message() -> None:
    block = Block(0).take([7], "exec/0", until=NOW, cap=ONE_A_DAY, now=NOW)
    assert block.over(ONE_A_DAY, now=NOW, message="exec/0") == frozenset()
    assert block.over(ONE_A_DAY, now=NOW, message="exec/1") == {7}
    again = block.take([7], "exec/0", until=NOW + timedelta(seconds=5), cap=ONE_A_DAY, now=NOW)
    assert len(again.sends) == 1


def test_what_was_not_delivered_is_taken_back_and_nothing_else() -> None:
    block = Block(0).take([7, 8], "exec/0", until=NOW, cap=ONE_A_DAY, now=NOW)
    block = block.take([8], "other/0", until=NOW, cap=ONE_A_DAY, now=NOW)
    assert block.drop([7, 8], "exec/0").over(ONE_A_DAY, now=NOW) == {8}
    assert block.drop([9], "exec/0") == block


def test_what_is_too_old_to_count_is_left_out() -> None:
    block = Block(0).take([7], "old/0", until=NOW - timedelta(hours=25), cap=ONE_A_DAY, now=NOW)
    block = block.take([8], "new/0", until=NOW, cap=ONE_A_DAY, now=NOW)
    assert [send.message for send in block.sends] == ["new/0"]


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, BLOCK_SIZE * 2), st.booleans()), max_size=40),
)
def test_nobody_gets_more_than_the_cap_in_any_span_of_its_hours(
    messages: int, tries: list[tuple[int, int, bool]]
) -> None:
    """Contacts of two blocks, hours between tries, some of them not delivered."""
    cap, now, sent = FrequencyCap(messages, 24), NOW, dict[int, list[datetime]]()
    blocks = {number: Block(number) for number in range(3)}
    for number, (minutes, ordinal, fails) in enumerate(tries):
        now += timedelta(minutes=minutes * 7)
        place, message = block_of(ordinal), f"exec/{number}"
        before = [at for at in sent.get(ordinal, []) if at > now - timedelta(hours=24)]
        if ordinal in blocks[place].over(cap, now=now, message=message):
            assert len(before) >= messages or now - sent[ordinal][-messages] < timedelta(hours=24, seconds=21)
            continue
        assert len(before) < messages
        reached = now + timedelta(seconds=20)
        blocks[place] = blocks[place].take([ordinal], message, until=reached, cap=cap, now=now)
        if fails:
            blocks[place] = blocks[place].drop([ordinal], message)
        else:
            sent.setdefault(ordinal, []).append(now + timedelta(seconds=19))
