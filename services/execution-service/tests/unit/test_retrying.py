"""Whom a retry is for, and how it finds its way again."""

from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.campaign import Retry
from contracts.outcome_codes import MESSAGES
from execution_service.domain.execution import ShardSums
from execution_service.domain.outcomes import Candidate as Turn
from execution_service.domain.outcomes import NoAnswer, Rejected, ServerFailed, settle, status_of
from execution_service.domain.retrying import Former, Place, Retried, chosen, count_chosen, read_key
from execution_service.domain.suppression import SUPPRESSIONS

FORMER = Former(1, "msg", None, "failed", "USER_BLOCKED")


def retry(*statuses: Any, codes: list[str] | None = None) -> Retry:
    return Retry(of="exec_1", statuses=list(statuses), error_codes=codes)


@pytest.mark.parametrize(
    ("wanted", "status", "code", "meant"),
    [
        (retry("failed"), "failed", "USER_BLOCKED", True),
        (retry("failed"), "unknown", "DELIVERY_UNKNOWN", False),
        (retry("failed"), "successful", None, False),
        (retry("failed", codes=["USER_BLOCKED"]), "failed", "CHAT_NOT_FOUND", False),
        (retry("skipped", codes=["USER_BLOCKED", "OPTED_OUT"]), "skipped", "OPTED_OUT", True),
        (retry("failed", codes=["OPTED_OUT"]), "skipped", "OPTED_OUT", False),
    ],
)
def test_a_contact_is_meant_when_both_lists_have_its_outcome(
    wanted: Retry, status: Any, code: str | None, meant: bool
) -> None:
    assert chosen(wanted, status, code) is meant


def test_what_later_runs_took_back_does_not_count_any_more() -> None:
    first = ShardSums(errors={"USER_BLOCKED": 10, "CHAT_NOT_FOUND": 5, "DELIVERY_UNKNOWN": 2})
    second = ShardSums(errors={"CHAT_NOT_FOUND": 3}, withdrawn={"USER_BLOCKED": 10})
    assert count_chosen(retry("failed"), [first, second]) == 8
    assert count_chosen(retry("failed", codes=["USER_BLOCKED"]), [first, second]) == 0
    assert count_chosen(retry("failed", "unknown"), [first, second]) == 10
    assert count_chosen(retry("failed"), []) == 0


def test_an_error_code_comes_with_one_status() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    attempts = [Rejected("USER_BLOCKED"), Rejected("FORBIDDEN"), NoAnswer(), ServerFailed()]
    for attempt in attempts:
        final: Any = settle(Turn(0, tries=5), attempt, at=now, variation_id=None)
        assert status_of(final.code) == final.status
    assert {status_of(code) for code in (*SUPPRESSIONS, "CONTACT_ERASED", "CAMPAIGN_ENDED")} == {"skipped"}
    assert {status_of(code) for code in MESSAGES} == {"failed", "skipped", "unknown"}


def test_a_key_leads_back_behind_its_contact() -> None:
    assert read_key("") == (0, Place(0, -1))
    assert read_key(Retried("con_1", 2, Place(10, 3), FORMER).key) == (2, Place(10, 3))
