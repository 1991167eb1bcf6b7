"""Audiences are counted when they may have changed, and told when they have."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from contracts.envelope import AnyEvent, new_event
from contracts.events.campaign import (
    AudienceDefinition,
    CampaignCompleted,
    CampaignCreated,
    CampaignDeleted,
    CampaignUpdated,
    Totals,
)
from execution_service.application.estimate_audiences import estimate_audiences
from execution_service.application.note_campaign import note_campaign
from execution_service.application.put_contact import put_contact
from service_kit.errors import AlreadyHandled

Audience = Any


def _created(audience: Audience, *segments: str, campaign_id: str = "camp_1", org: str = "acme") -> AnyEvent:
    data = CampaignCreated(
        campaign_id=campaign_id, name="Sale", type="message", status="draft",
        audience=AudienceDefinition(segments=list(segments)),
    )  # fmt: skip
    return new_event(data, source="t", subject=campaign_id, org=org, time=audience.clock.now(), sequence=1)


def _completed(audience: Audience, sequence: int) -> AnyEvent:
    now = audience.clock.now()
    data = CampaignCompleted(
        campaign_id="camp_1", name="Sale", type="message", status="completed", execution_id="exec_1",
        totals=Totals(targeted=0, successful=0, failed=0, skipped=0, unknown=0), completed_at=now,
    )  # fmt: skip
    return new_event(data, source="t", subject="camp_1", org="acme", time=now, sequence=sequence)


async def _note(audience: Audience, event: AnyEvent) -> None:
    await note_campaign(
        event, campaigns=audience.campaigns, marks=audience.marks,
        inbox=audience.inbox, transactions=audience.transactions,
    )  # fmt: skip


async def _put(audience: Audience, contact_id: str, *segments: str, org: str = "acme") -> None:
    await put_contact(
        org, contact_id, {"telegramChatId": 1, "segments": list(segments)}, contacts=audience.contacts,
        segments=audience.segments, transactions=audience.transactions, clock=audience.clock,
    )  # fmt: skip


async def _estimate(audience: Audience) -> list[tuple[str, int]]:
    """What this turn announced."""
    before = len(audience.outbox.events)
    while await audience.fold.oldest():
        pass
    await estimate_audiences(
        marks=audience.marks, campaigns=audience.campaigns, segments=audience.segments,
        measure=audience.measure, outbox=audience.outbox, transactions=audience.transactions, clock=audience.clock,
    )  # fmt: skip
    return [(event.data.campaign_id, event.data.total_count) for event in audience.outbox.events[before:]]


async def test_a_new_campaign_is_told_its_size_even_when_that_is_zero(audience: Audience) -> None:
    await _note(audience, _created(audience, "s1"))
    assert await _estimate(audience) == [("camp_1", 0)]
    assert await _estimate(audience) == []


async def test_a_contact_in_two_segments_counts_once_and_other_orgs_do_not(audience: Audience) -> None:
    await _put(audience, "c1", "s1", "s2")
    await _put(audience, "c2", "s2")
    await _put(audience, "c3", "s3")
    await _put(audience, "c1", "s1", org="other")
    await _note(audience, _created(audience, "s1", "s2"))
    assert await _estimate(audience) == [("camp_1", 2)]


async def test_a_contact_that_joins_or_leaves_is_told_and_no_change_is_not(audience: Audience) -> None:
    await _note(audience, _created(audience, "s1"))
    await _estimate(audience)
    await _put(audience, "c1", "s1")
    assert await _estimate(audience) == [("camp_1", 1)]
    await _put(audience, "c2", "elsewhere")
    assert await _estimate(audience) == []
    await _put(audience, "c1", "elsewhere")
    assert await _estimate(audience) == [("camp_1", 0)]
    assert audience.marks.rows == []


async def test_a_final_campaign_is_no_longer_counted(audience: Audience) -> None:
    await _note(audience, _created(audience, "s1"))
    await _estimate(audience)
    await _note(audience, _completed(audience, sequence=3))
    await _put(audience, "c1", "s1")
    assert await _estimate(audience) == []
    assert audience.marks.rows == []


async def test_an_event_twice_or_late_changes_nothing(audience: Audience) -> None:
    created = _created(audience, "s1")
    await _note(audience, created)
    with pytest.raises(AlreadyHandled):
        await _note(audience, created)
    await _note(audience, _completed(audience, sequence=3))
    await _note(audience, _created(audience, "s9"))
    assert audience.campaigns.known["camp_1"].status == "completed"
    assert audience.campaigns.known["camp_1"].audience.segments == ["s1"]


async def test_an_old_count_never_overwrites_a_newer_one(audience: Audience) -> None:
    await _note(audience, _created(audience, "s1"))
    real = audience.campaigns.set_counts

    async def overtaken(tx: Any, counts: Mapping[str, tuple[int, int]]) -> Sequence[str]:
        audience.campaigns.counts["camp_1"] = (1, 42)
        return await real(tx, counts)  # type: ignore[no-any-return]  # the world is untyped here

    audience.campaigns.set_counts = overtaken
    assert await _estimate(audience) == []
    assert audience.campaigns.counts["camp_1"] == (1, 42)
    assert audience.marks.rows, "the mark stays, so that the next turn counts again"
    audience.campaigns.set_counts = real
    assert await _estimate(audience) == [("camp_1", 0)]


async def test_more_campaigns_than_one_page_are_all_counted(audience: Audience) -> None:
    for number in range(250):
        await _note(audience, _created(audience, "s1", campaign_id=f"camp_{number:03}"))
    assert len(await _estimate(audience)) == 250


def _updated(audience: Audience, sequence: int, **definition: Any) -> AnyEvent:
    data = CampaignUpdated(
        campaign_id="camp_1", name="Sale", type="message", status="draft", changed=["targetAudience"],
        audience=AudienceDefinition(**definition),
    )  # fmt: skip
    now = audience.clock.now()
    return new_event(data, source="t", subject="camp_1", org="acme", time=now, sequence=sequence)


async def test_a_changed_audience_is_counted_with_its_filters_and_exclusions(audience: Audience) -> None:
    await _put(audience, "c1", "s1")
    await _put(audience, "c2", "s1", "s2")
    await _put(audience, "c3", "s3")
    await _note(audience, _created(audience, "s1"))
    assert await _estimate(audience) == [("camp_1", 2)]
    await _note(audience, _updated(audience, 2, segments=["s1"], exclude_segments=["s2"]))
    assert await _estimate(audience) == [("camp_1", 1)]
    await put_contact(
        "acme", "c4", {"telegramChatId": 1, "age": 30}, contacts=audience.contacts,
        segments=audience.segments, transactions=audience.transactions, clock=audience.clock,
    )  # fmt: skip
    await put_contact(
        "acme", "c5", {"telegramChatId": 1, "age": 30}, contacts=audience.contacts,
        segments=audience.segments, transactions=audience.transactions, clock=audience.clock,
    )  # fmt: skip
    await _note(audience, _updated(audience, 3, filters={"ageRange": [30, 40]}))
    assert await _estimate(audience) == [("camp_1", 2)], "no segments but filters: everybody of the org"


async def test_filters_that_cannot_be_understood_count_nobody_and_hold_up_nobody(audience: Audience) -> None:
    await _put(audience, "c1", "s1")
    await _note(audience, _created(audience, "s1", campaign_id="camp_2"))
    await _note(audience, _created(audience, "s1"))
    await _note(audience, _updated(audience, 2, segments=["s1"], filters={"ageRange": "young"}))
    assert await _estimate(audience) == [("camp_1", 0), ("camp_2", 1)]


async def test_a_deleted_campaign_is_no_longer_counted_and_its_definition_is_gone(audience: Audience) -> None:
    await _note(audience, _created(audience, "s1"))
    await _estimate(audience)
    now = audience.clock.now()
    data = CampaignDeleted(
        campaign_id="camp_1", name="Sale", type="message", status="draft", deleted_at=now
    )  # fmt: skip
    await _note(audience, new_event(data, source="t", subject="camp_1", org="acme", time=now, sequence=2))
    await _put(audience, "c1", "s1")
    assert await _estimate(audience) == []
    known = audience.campaigns.known["camp_1"]
    assert (known.deleted, known.name, known.audience.segments) == (True, "", [])


async def test_a_segment_that_is_a_filter_counts_whom_it_finds(audience: Audience) -> None:
    for contact_id, age in (("c1", 20), ("c2", 40)):
        await put_contact(
            "acme", contact_id, {"telegramChatId": 1, "age": age}, contacts=audience.contacts,
            segments=audience.segments, transactions=audience.transactions, clock=audience.clock,
        )  # fmt: skip
    await _put(audience, "c3", "vip")
    audience.segments.rows["acme", "grown"] = {"ageRange": [30, 50]}
    await _note(audience, _created(audience, "grown", "vip"))
    assert await _estimate(audience) == [("camp_1", 2)]
    audience.segments.rows["acme", "grown"] = {"ageRange": [10, 50]}

    async def mark(tx: Any) -> None:
        await audience.marks.add(tx, "acme")

    await audience.transactions.run(mark)
    assert await _estimate(audience) == [("camp_1", 3)]
