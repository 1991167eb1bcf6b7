"""Who of a window is sent to, and who is decided without sending."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

import pytest
from contracts.events.campaign import (
    AudienceDefinition,
    ExecutionOptions,
    ExecutionSnapshot,
    FrozenMessage,
    Retry,
)
from contracts.tracking import TrackingKeys
from execution_service.application.ports_engine import ShardLease
from execution_service.application.ports_sending import Deferred, Slot
from execution_service.application.prepare_window import Prepared, PrepareWindow
from execution_service.application.recent_segments import RecentSegments
from execution_service.application.tracking_links import TrackingLinks
from execution_service.domain.contact import Addressee, Unreachable
from execution_service.domain.execution import Execution
from execution_service.domain.org_settings import QuietHours
from execution_service.domain.outcomes import Back
from execution_service.domain.quiet_hours import Hours
from execution_service.domain.window import ShardState, candidates

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = ["fine", "erased", "optedout", "nameless", "long", "empty", "fine2", "blocked", "gone", "nochat"]
UNREACHABLE: dict[str, Unreachable] = {"blocked": "BLOCKED", "gone": "DEACTIVATED", "nochat": "NO_CHAT"}
LINKS = TrackingLinks(
    TrackingKeys(f"k1:{base64.b64encode(bytes(32)).decode()}"), base_url="https://go.example/t"
)


class Segments:
    """One of them is whom a filter finds."""

    async def filters_of(self, org: str, segment_ids: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        return {name: {"tier": ["gold"]} for name in segment_ids if name == "gold"}


class People:
    """An audience of ten, one of them erased."""

    async def addressees(
        self, org: str, ids: Sequence[str], fields: frozenset[str]
    ) -> Mapping[str, Addressee]:
        assert fields in ({"firstName"}, {"firstName", "segments", "attributes.tier"}, PLACED)
        names = {"nameless": None, "long": "x" * 5_000, "empty": " "}
        return {
            name: Addressee(
                7,
                name == "optedout",
                {
                    "firstName": names.get(name, "A"),
                    "segments": ["b", "x", "a"] if name.startswith("fine") else ["x"],
                    "attributes": {"tier": "gold" if name in ("fine2", "optedout") else "tin"},
                },
                unreachable=UNREACHABLE.get(name),
                timezone="Asia/Tokyo" if name == "fine2" else None,
            )
            for name in ids
            if name != "erased"
        }


PLACED = {"segments", "attributes.tier"}
NEVER = Hours(None, "UTC", own_zones=True, edition=1)


def prepared(
    retry: Retry | None = None, hours: Hours = NEVER, segments: Sequence[str] = (), code: str | None = None
) -> Prepared:
    """A window of all; with a `code` one in which all are passed over."""
    snapshot = ExecutionSnapshot(
        messages=[FrozenMessage(id="msg", content="{{firstName}}")],
        audience=AudienceDefinition(segments=list(segments), exclude_segments=["x"]),
        options=ExecutionOptions(retry=retry),
        sampling_seed="s",
    )
    execution = Execution("exec_1", "acme", "camp_1", "running", snapshot, NOW)
    lease = ShardLease("exec_1:0", "exec_1", "acme", "camp_1", 0, "w", 1, NAMES, ShardState(len(NAMES)), 0)
    turn = candidates(lease.state, limit=10, now=NOW)
    prepare = PrepareWindow(People(), RecentSegments(Segments(), keep_seconds=1), LINKS)
    if code is not None:
        return asyncio.run(prepare.passed_over(execution, lease, turn, code, now=NOW))
    return asyncio.run(prepare(execution, lease, turn, hours=hours, now=NOW))


def test_each_contact_is_a_letter_or_decided_with_its_reason() -> None:
    window = prepared()
    assert [letter.contact_id for letter in window.letters] == ["fine", "fine2"]
    assert {NAMES[item.position]: (item.status, item.code) for item in window.decided} == {
        "erased": ("skipped", "CONTACT_ERASED"),
        "optedout": ("skipped", "OPTED_OUT"),
        "nameless": ("skipped", "MISSING_FIELD"),
        "long": ("failed", "MESSAGE_TOO_LONG"),
        "empty": ("failed", "MESSAGE_EMPTY"),
        "blocked": ("skipped", "BLOCKED"),
        "gone": ("skipped", "DEACTIVATED"),
        "nochat": ("skipped", "NO_CHAT"),
    }


def test_a_retry_tries_those_who_could_not_be_reached_but_nobody_who_opted_out() -> None:
    window = prepared(Retry(of="exec_0", statuses=["failed"]))
    named = {letter.contact_id: letter.unreachable for letter in window.letters}
    assert named == {"fine": None, "fine2": None, **UNREACHABLE}
    assert "OPTED_OUT" in {item.code for item in window.decided}


def test_a_window_ends_before_the_first_letter_without_a_turn_and_defers_those_whose_chat_must_wait() -> None:
    letters = len(prepared().letters)
    assert letters == 2
    short = prepared().granted([Slot(1.0, 1.0, 1.0)], due=lambda _: NOW)
    assert [candidate.position for candidate in short.candidates] == [0, 1, 2, 3, 4, 5]
    assert (len(short.letters), short.deferred) == (1, [])
    assert not prepared().granted([], due=lambda _: NOW).letters
    later = NOW + timedelta(seconds=3)
    whole = prepared().granted(
        [Deferred(3.0), Slot(1.0, 1.0, 1.0)], due=lambda at: NOW + timedelta(seconds=at)
    )
    assert whole.candidates == prepared().candidates
    assert whole.letters == prepared().letters[1:]
    assert whole.deferred == [Back(prepared().letters[0].candidate, later)]
    assert whole.decided == prepared().decided


def test_whose_hours_have_not_come_waits_for_them_and_nobody_else_does() -> None:
    """It is noon in London and nine in the evening in Tokyo."""
    window = prepared(hours=Hours(QuietHours(time(21), time(9)), "Europe/London", own_zones=True, edition=1))
    assert [letter.contact_id for letter in window.letters] == ["fine"]
    (back,) = window.deferred
    assert NAMES[back.candidate.position] == "fine2"
    assert (back.for_hours, back.due) == (True, datetime(2026, 6, 2, 0, tzinfo=UTC))
    assert window.until == datetime(2026, 6, 1, 20, tzinfo=UTC)
    assert not window.waits and len(window.decided) == len(prepared().decided)


def test_on_the_organisations_clock_all_wait_together() -> None:
    hours = Hours(QuietHours(time(10), time(14)), "UTC", own_zones=False, edition=1)
    window = prepared(hours=hours)
    assert window.letters == [] and window.until is None
    assert {back.due for back in window.deferred} == {datetime(2026, 6, 1, 14, tzinfo=UTC)}


@pytest.mark.parametrize("code", [None, "CAMPAIGN_ENDED"])
def test_everybody_is_in_those_segments_of_the_audience_that_it_is_in_now(code: str | None) -> None:
    """Listed ones and found ones, of those that are addressed; who was erased is in none."""
    window = prepared(segments=["a", "gold", "b", "c"], code=code)
    expected = {"fine": ("a", "b"), "fine2": ("a", "gold", "b"), "optedout": ("gold",)}
    assert {NAMES[item.position]: item.segments for item in window.candidates if item.segments} == expected
    found = {
        item.position: item.segments for item in [*window.decided, *[one.candidate for one in window.letters]]
    }
    assert {NAMES[position]: segments for position, segments in found.items() if segments} == expected
    assert len(found) == len(NAMES) and len(window.decided) == (8 if code is None else 10)
