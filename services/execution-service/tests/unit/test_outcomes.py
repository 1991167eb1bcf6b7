"""What Telegram's answers mean."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.outcome_codes import MESSAGES
from execution_service.domain.outcomes import (
    MAX_TRIES,
    Attempt,
    Back,
    Candidate,
    ChatMigrated,
    Delivered,
    Final,
    NoAnswer,
    NotConnected,
    NotDispatched,
    RateLimited,
    Rejected,
    SendResult,
    ServerFailed,
    Unauthorized,
    classify,
    passed_over,
    settle,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def refusal(code: int, description: str, **parameters: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return {**body, "parameters": parameters} if parameters else body


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"ok": True, "result": {"message_id": 5}}, Delivered(5)),
        (200, {"ok": True, "result": {}}, NoAnswer()),
        (200, None, NoAnswer()),
        (200, [], NoAnswer()),
        (403, refusal(403, "Forbidden: bot was blocked by the user"), Rejected("USER_BLOCKED")),
        (400, refusal(400, "Bad Request: bot was blocked by the user"), Rejected("USER_BLOCKED")),
        (403, refusal(403, "Forbidden: user is deactivated"), Rejected("USER_DEACTIVATED")),
        (
            403,
            refusal(403, "Forbidden: bot can't initiate conversation with a user"),
            Rejected("BOT_NOT_STARTED"),
        ),
        (400, refusal(400, "Bad Request: chat not found"), Rejected("CHAT_NOT_FOUND")),
        (400, refusal(400, "Bad Request: PEER_ID_INVALID"), Rejected("CHAT_NOT_FOUND")),
        (403, refusal(403, "Forbidden: bot was kicked from the supergroup chat"), Rejected("BOT_KICKED")),
        (403, refusal(403, "Forbidden: bot is not a member of the channel chat"), Rejected("BOT_KICKED")),
        (403, refusal(403, "Forbidden: something new"), Rejected("FORBIDDEN")),
        (400, refusal(400, "Bad Request: can't parse entities"), Rejected("BAD_REQUEST")),
        (400, refusal(400, "Bad Request: message is too long"), Rejected("MESSAGE_TOO_LONG")),
        (400, refusal(400, "Bad Request: message text is empty"), Rejected("MESSAGE_EMPTY")),
        (
            400,
            refusal(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1007
            ),
            ChatMigrated(-1007),
        ),
        (401, refusal(401, "Unauthorized"), Unauthorized()),
        (404, refusal(404, "Not Found"), Unauthorized()),
        (429, refusal(429, "Too Many Requests: retry after 7", retry_after=7), RateLimited(7)),
        (429, refusal(429, "Too Many Requests: retry after 9"), RateLimited(9)),
        (429, refusal(429, "Too Many Requests", retry_after=-3), RateLimited(1)),
        (500, refusal(500, "Internal Server Error"), ServerFailed()),
        (502, refusal(502, "Bad Gateway"), ServerFailed()),
        (502, None, NoAnswer()),
        (503, {"error": "proxy"}, NoAnswer()),
        (400, None, NoAnswer()),
        (302, None, NoAnswer()),
    ],
)
def test_status_and_description_together_say_what_an_answer_means(
    status: int, body: object, meaning: SendResult
) -> None:
    assert classify(status, body) == meaning


@pytest.mark.parametrize(
    ("attempt", "status", "code"),
    [
        (Delivered(5), "successful", None),
        (Rejected("USER_BLOCKED"), "failed", "USER_BLOCKED"),
        (NoAnswer(), "unknown", "DELIVERY_UNKNOWN"),
    ],
)
def test_some_results_are_final(attempt: Attempt, status: str, code: str | None) -> None:
    final = settle(Candidate(3), attempt, at=NOW, variation_id="v")
    assert isinstance(final, Final)
    assert (final.position, final.status, final.code, final.variation_id) == (3, status, code, "v")
    assert code is None or code in MESSAGES


def test_a_429_uses_up_no_attempt() -> None:
    candidate = Candidate(3, tries=2)
    assert settle(candidate, RateLimited(7), at=NOW, variation_id=None) == Back(
        candidate, NOW + timedelta(seconds=7)
    )


def test_what_was_not_dispatched_comes_back_untouched() -> None:
    assert settle(Candidate(3), NotDispatched(2), at=NOW, variation_id=None) == Back(
        Candidate(3), NOW + timedelta(seconds=2)
    )


def test_a_5xx_of_telegram_is_tried_three_times_then_failed() -> None:
    candidate, at = Candidate(3), NOW
    for attempt in range(1, MAX_TRIES):
        back = settle(candidate, ServerFailed(), at=at, variation_id=None)
        assert isinstance(back, Back)
        assert back.candidate.tries == attempt
        assert back.due - at >= timedelta(seconds=1)
        candidate, at = back.candidate, back.due
    final = settle(candidate, ServerFailed(), at=at, variation_id=None)
    assert isinstance(final, Final)
    assert final.code == "TELEGRAM_ERROR"


def test_no_connection_is_repeated_without_end_ever_more_slowly() -> None:
    candidate, waits = Candidate(3), []
    for _ in range(10):
        back = settle(candidate, NotConnected(), at=NOW, variation_id=None)
        assert isinstance(back, Back)
        waits.append((back.due - NOW).total_seconds())
        candidate = back.candidate
    assert waits == sorted(waits)
    assert (waits[0], waits[-1], candidate.tries) == (1, 30, 0)


def test_a_message_without_an_answer_is_tried_again_only_for_who_asks_for_it_and_three_times() -> None:
    candidate, at = Candidate(3), NOW
    for attempt in range(1, MAX_TRIES):
        back = settle(candidate, NoAnswer(), at=at, variation_id=None, retry_unknown=True)
        assert isinstance(back, Back)
        assert (back.candidate.tries, back.candidate.unanswered) == (attempt, True)
        assert back.due - at >= timedelta(seconds=1)
        candidate, at = back.candidate, back.due
    final = settle(candidate, NoAnswer(), at=at, variation_id="v", retry_unknown=True)
    assert isinstance(final, Final)
    assert (final.status, final.code, final.variation_id) == ("unknown", "DELIVERY_UNKNOWN", "v")


def test_whoever_may_have_got_the_message_never_ends_as_if_they_had_not() -> None:
    maybe = Candidate(3, tries=MAX_TRIES - 1, unanswered=True)
    lost = settle(maybe, ServerFailed(), at=NOW, variation_id=None, retry_unknown=True)
    refused = [
        settle(maybe, Rejected(code), at=NOW, variation_id=None, retry_unknown=True)
        for code in ("USER_BLOCKED", "MESSAGE_TOO_LONG")
    ]
    for final in (
        lost,
        *refused,
        *(passed_over(maybe, code, at=NOW) for code in ("OPTED_OUT", "CAMPAIGN_ENDED")),
    ):
        assert isinstance(final, Final)
        assert (final.position, final.status, final.code) == (3, "unknown", "DELIVERY_UNKNOWN")
    assert passed_over(Candidate(3), "OPTED_OUT", at=NOW) == Final(3, "skipped", NOW, "OPTED_OUT")
    assert passed_over(Candidate(3), "MESSAGE_EMPTY", at=NOW) == Final(3, "failed", NOW, "MESSAGE_EMPTY")
