"""The check of webhooks finds what it is there for."""

from typing import Any

import pytest
from chaos.webhooks import Hook, Hooks, Published, Verdict, check

EVENTS = [Published(f"evt_{number}", "camp_1", number) for number in (1, 2, 3)]


def row(number: int, *codes: int | None, status: str = "succeeded") -> dict[str, Any]:
    return {
        "eventId": f"evt_{number}",
        "status": status,
        "attempts": [{"statusCode": code} for code in codes],
    }


def run(arrived: list[tuple[int, int]], log: list[dict[str, Any]], **hook: Any) -> Verdict:
    found = Hook(arrived=[(f"evt_{number}", status) for number, status in arrived], **hook)
    return check("h", Hooks({"h": found}, seed=1), EVENTS, log, ordered=True, attempts=3)


ALL = [(1, 204), (2, 204), (3, 204)]
LOG = [row(1, 204), row(2, 204), row(3, 204)]


def test_all_once_in_order_is_right_and_so_is_one_that_was_repeated_because_its_record_was_lost():
    assert run(ALL, LOG) == Verdict(3, 0)
    assert run([(1, 204), *ALL], LOG) == Verdict(4, 1)
    assert run(ALL, [row(1, None, 204), *LOG[1:]]) == Verdict(3, 0)


def test_refusals_are_counted():
    refused = [(1, 500), *ALL]
    every = [(1, 500), (1, 204), (2, 500), (2, 204), (3, 500), (3, 204)]
    assert run(every, [row(number, 500, 204) for number in (1, 2, 3)], refuses=(1,)) == Verdict(6, 0)
    with pytest.raises(AssertionError, match="evt_1"):
        run(refused, [row(1, 500, 204), *LOG[1:]])


def test_one_that_never_succeeds_has_all_its_attempts():
    arrived = [(number, 500) for number in (1, 1, 1, 2, 2, 2, 3, 3, 3)]
    log = [row(number, 500, 500, 500, status="failed") for number in (1, 2, 3)]
    check("h", Hooks({"h": _never(arrived)}, seed=1), EVENTS, log, ordered=False, attempts=3)
    with pytest.raises(AssertionError, match="evt_3"):
        check("h", Hooks({"h": _never(arrived)}, seed=1), EVENTS, [*log[:2], row(3, 500, 500, status="failed")],
              ordered=False, attempts=3)  # fmt: skip


def _never(arrived: list[tuple[int, int]]) -> Hook:
    return Hook(never=True, arrived=[(f"evt_{number}", status) for number, status in arrived])


@pytest.mark.parametrize(
    ("arrived", "log", "words"),
    [
        (ALL, LOG[:2], "1 events have no delivery"),
        (ALL, [*LOG, row(3, 204)], "two deliveries"),
        (ALL[:2], LOG, "evt_3"),
        (ALL, [*LOG[:2], row(3, status="pending")], "evt_3 is pending"),
        (ALL, [*LOG[:2], row(3, 204, 204)], "evt_3"),
        ([(1, 204), (3, 204), (2, 204)], LOG, "camp_1 3 after 1"),
    ],
)
def test_what_is_lost_doubled_miscounted_or_out_of_order_is_found(
    arrived: list[tuple[int, int]], log: list[dict[str, Any]], words: str
):
    with pytest.raises(AssertionError, match=words):
        run(arrived, log)


def test_a_repetition_with_other_bytes_is_found():
    with pytest.raises(AssertionError, match="other bytes"):
        run(ALL, LOG, bodies={"evt_1": {b"a", b"b"}})
