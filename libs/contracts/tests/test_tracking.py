"""Tokens of tracking links, and click ids: read back by whoever has the key, refused when anything about them is not ours."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from contracts.events.campaign import Button, FrozenMessage
from contracts.ids import new_id
from contracts.tracking import MAX_TOKEN, BadToken, Tracked, TrackedClick, TrackingKeys, links_of
from hypothesis import given
from hypothesis import strategies as st

ONE, TWO = (f"k{n}:{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
KEYS = TrackingKeys(ONE)
EXECUTION, CONTACT = new_id("exec"), new_id("con")
LINK = links_of(FrozenMessage(id="m", content="", buttons=[[Button(text="a", url="https://a.example")]]))[0]
TOKEN = KEYS.sign(Tracked(EXECUTION, LINK.link_id, CONTACT))
AT = datetime(2026, 1, 1, 12, 0, 0, 7000, tzinfo=UTC)
CLICK = KEYS.sign_click(TrackedClick(KEYS.read(TOKEN), AT))
contact_ids = st.one_of(
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._~@-]{0,127}\Z"),
    st.builds(lambda: new_id("con")),
    st.sampled_from(["con_", "con_x", CONTACT.lower(), CONTACT + "0", "con_" + "8" * 26]),
)


@given(contact_ids, st.binary(min_size=8, max_size=8).map(bytes.hex), st.sampled_from([EXECUTION, "exec_1"]))
def test_a_token_says_what_was_signed_and_fits_its_place(contact: str, link: str, execution: str) -> None:
    tracked = Tracked(execution, link, contact)
    token = KEYS.sign(tracked)
    assert KEYS.read(token) == tracked
    assert len(token) <= MAX_TOKEN
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_token_of_our_own_ids_is_short() -> None:
    assert len(TOKEN) == 81


@given(contact_ids, st.integers(0, 2**45).map(lambda us: datetime.fromtimestamp(us / 1000, UTC)))
def test_a_click_id_says_whose_click_it_is_and_when_it_was(contact: str, at: datetime) -> None:
    click = TrackedClick(Tracked(EXECUTION, LINK.link_id, contact), at)
    click_id = KEYS.sign_click(click)
    assert KEYS.read_click(click_id).tracked == click.tracked
    assert timedelta(0) <= at - KEYS.read_click(click_id).at < timedelta(milliseconds=1)
    assert len(click_id) <= MAX_TOKEN
    assert set(click_id) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_link_is_no_click_and_a_click_is_no_link() -> None:
    with pytest.raises(BadToken):
        KEYS.read_click(TOKEN)
    with pytest.raises(BadToken):
        KEYS.read(CLICK)


@given(st.sampled_from([TOKEN, CLICK]), st.integers(0, len(TOKEN) * 8 - 1))
def test_a_token_with_any_bit_flipped_is_refused(token: str, bit: int) -> None:
    raw = bytearray(token.encode())
    raw[bit // 8] ^= 1 << bit % 8
    assert_refused(raw.decode("latin-1"))


@given(st.one_of(st.text(max_size=600), st.text(max_size=200).map("k1.".__add__)))
def test_anything_else_is_refused(text: str) -> None:
    assert_refused(text)


@pytest.mark.parametrize("more", ["A", "=", "==", "\n", " ", "/../x", "?x", "."])
def test_a_token_has_one_spelling(more: str) -> None:
    for one in (TOKEN, CLICK):
        for token in (one + more, more + one, one[:40] + more + one[40:], one[:-1]):
            assert_refused(token)


def assert_refused(token: str) -> None:
    with pytest.raises(BadToken):
        KEYS.read(token)
    with pytest.raises(BadToken):
        KEYS.read_click(token)


def test_a_rotated_key_reads_what_it_signed_until_it_is_taken_out() -> None:
    rotated = TrackingKeys(f"{TWO},{ONE}")
    assert rotated.read(TOKEN).contact_id == rotated.read_click(CLICK).tracked.contact_id == CONTACT
    assert rotated.sign_click(rotated.read_click(CLICK)).startswith("k2.")
    with pytest.raises(BadToken):
        TrackingKeys(TWO).read_click(CLICK)
    newer = rotated.sign(rotated.read(TOKEN))
    assert newer.startswith("k2.")
    for strangers, token in ((TrackingKeys(TWO), TOKEN), (KEYS, newer)):
        with pytest.raises(BadToken):
            strangers.read(token)


def test_the_same_id_with_another_secret_and_the_same_secret_under_another_id_are_refused() -> None:
    secret = ONE.partition(":")[2]
    other = TWO.partition(":")[2]
    for keys, token in ((f"k1:{other}", TOKEN), (f"k9:{secret}", TOKEN.replace("k1.", "k9.", 1))):
        with pytest.raises(BadToken):
            TrackingKeys(keys).read(token)


@pytest.mark.parametrize(
    "keys", ["", " , ", "k1", "k1:abc", ":" + ONE, "k.1" + ONE[2:], f"{ONE},{ONE}", "k1:aGk="]
)
def test_keys_that_cannot_be_used_are_refused_at_the_start(keys: str) -> None:
    with pytest.raises(ValueError):
        TrackingKeys(keys)


def test_a_link_is_another_one_when_its_message_place_or_address_is() -> None:
    def links(message_id: str, *urls: str) -> list[str]:
        rows = [[Button(text="a", url=url)] for url in urls]
        return [link.link_id for link in links_of(FrozenMessage(id=message_id, content="", buttons=rows))]

    first = links("m", "https://a.example", "https://b.example")
    assert first == links("m", "https://a.example", "https://b.example")
    others = [*links("m", "https://b.example", "https://a.example"), *links("n", "https://a.example"), *first]
    assert len(set(others)) == len(others) == 5
