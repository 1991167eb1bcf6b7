"""Tokens of tracking links: read back by whoever has the key, refused when anything about them is not ours."""

import base64

import pytest
from contracts.events.campaign import Button, FrozenMessage
from contracts.ids import new_id
from contracts.tracking import MAX_TOKEN, BadToken, Tracked, TrackingKeys, links_of
from hypothesis import given
from hypothesis import strategies as st

ONE, TWO = (f"k{n}:{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
KEYS = TrackingKeys(ONE)
EXECUTION, CONTACT = new_id("exec"), new_id("con")
LINK = links_of(FrozenMessage(id="m", content="", buttons=[[Button(text="a", url="https://a.example")]]))[0]
TOKEN = KEYS.sign(Tracked(EXECUTION, LINK.link_id, CONTACT))
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


@given(st.integers(0, len(TOKEN) * 8 - 1))
def test_a_token_with_any_bit_flipped_is_refused(bit: int) -> None:
    raw = bytearray(TOKEN.encode())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadToken):
        KEYS.read(raw.decode("latin-1"))


@given(st.one_of(st.text(max_size=600), st.text(max_size=200).map("k1.".__add__)))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        KEYS.read(text)


@pytest.mark.parametrize("more", ["A", "=", "==", "\n", " ", "/../x", "?x", "."])
def test_a_token_has_one_spelling(more: str) -> None:
    for token in (TOKEN + more, more + TOKEN, TOKEN[:40] + more + TOKEN[40:], TOKEN[:-1]):
        with pytest.raises(BadToken):
            KEYS.read(token)


def test_a_rotated_key_reads_what_it_signed_until_it_is_taken_out() -> None:
    rotated = TrackingKeys(f"{TWO},{ONE}")
    assert rotated.read(TOKEN).contact_id == CONTACT
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
