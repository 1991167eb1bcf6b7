"""The audience's ports, the same suite on the fakes and on MongoDB."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.campaign import AudienceDefinition
from execution_service.application.ports import AudienceMarks, CampaignAudiences, Contacts, KnownCampaign
from execution_service.application.ports_audience import AudienceChunks, ContactChanges
from execution_service.bootstrap import Wiring
from execution_service.domain.audience_columns import Chunk, fold
from execution_service.domain.contact import Contact
from service_kit.ports import Transactions, Tx

pytestmark = pytest.mark.integration
NOW = datetime(2024, 6, 1, 12, 0, 0, 123000, tzinfo=UTC)


@dataclass
class Ports:
    """What the suite holds to its word."""

    contacts: Contacts
    changes: ContactChanges
    chunks: AudienceChunks
    marks: AudienceMarks
    campaigns: CampaignAudiences
    transactions: Transactions


@pytest.fixture(params=["fake", "mongo"])
def ports(request: pytest.FixtureRequest, audience: Any, wiring: Wiring) -> Ports:
    """The ports, once in memory and once in MongoDB."""
    world = audience if request.param == "fake" else wiring
    return Ports(
        world.contacts, world.changes, world.chunks, world.marks, world.campaigns, world.transactions
    )


def _contact(contact_id: str, *segments: str, org: str = "acme", **fields: Any) -> Contact:
    return Contact(
        org=org, contact_id=contact_id, telegram_chat_id=-(2**62), created_at=NOW, updated_at=NOW,
        segments=segments, **fields,
    )  # fmt: skip


async def _insert(ports: Ports, *contacts: Contact) -> None:
    async def work(tx: Tx) -> None:
        await ports.contacts.insert(tx, contacts)

    await ports.transactions.run(work)


async def test_a_contact_comes_back_as_it_was_stored(ports: Ports) -> None:
    full = _contact(
        "c1", "s1", first_name="Zoë", last_name="ع", username="z", language="en", timezone="Asia/Tokyo",
        location="JP", age=0, interests=("a",), purchase_history=False, last_purchase="x",
        attributes={"n": 1, "f": 1.5, "t": "x", "b": True}, tester=True, opted_out=True,
    )  # fmt: skip
    bare = _contact("c2")
    await _insert(ports, full, bare)
    assert await ports.contacts.get("acme", "c1") == full
    assert await ports.contacts.by_ids("acme", ["c1", "c2", "c3"]) == {"c1": full, "c2": bare}
    assert await ports.contacts.get("other", "c1") is None


async def test_ordinals_are_never_given_twice_and_stay_with_their_contact(ports: Ports) -> None:
    await _insert(ports, *(_contact(f"c{n}") for n in range(3)))
    await _insert(ports, _contact("c3"), _contact("c4"))
    before = await ports.contacts.by_ids("acme", [f"c{n}" for n in range(5)])
    ordinals = [before[f"c{n}"].ordinal for n in range(5)]
    assert ordinals == sorted(set(ordinals))
    assert ordinals[0] > 0

    async def change(tx: Tx) -> None:
        await ports.contacts.replace(tx, [replace(before["c1"], age=3)])

    await ports.transactions.run(change)
    after = await ports.contacts.get("acme", "c1")
    assert after is not None
    assert (after.age, after.ordinal) == (3, ordinals[1])


async def test_storing_contacts_notes_them_for_the_index_in_the_same_transaction(ports: Ports) -> None:
    await _insert(ports, _contact("c1"), _contact("c2"))
    await _insert(ports, _contact("c1", org="other"))

    async def fail(tx: Tx) -> None:
        await ports.contacts.insert(tx, [_contact("c3")])
        raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError):
        await ports.transactions.run(fail)
    (noted,) = await ports.changes.read(await ports.changes.waiting("acme"))
    found = await ports.contacts.by_ids("acme", ["c1", "c2"])
    assert (noted.org, [tuple(pair) for pair in noted.contacts]) == (
        "acme", [(found["c1"].ordinal, "c1"), (found["c2"].ordinal, "c2")],
    )  # fmt: skip
    assert [change.org for change in await ports.changes.oldest(10)] == ["acme", "other"]
    await ports.changes.remove([noted])
    assert await ports.changes.waiting("acme") == []
    assert await ports.changes.read([noted.change_id]) == []
    assert len(await ports.changes.oldest(10)) == 1


async def test_a_chunk_comes_back_with_the_columns_asked_for(ports: Ports) -> None:
    people = {
        place: _contact(
            f"c{place}", "s1", age=place % 90, attributes={"größe": 1.0, "b": True, "t": "1", "big": 2**63 - 1},
            tester=place == 7, opted_out=place == 8,
        )
        for place in (0, 1, 7, 8, *range(100, 500))
    }  # fmt: skip
    full = fold(Chunk(), people)

    async def save(after: Chunk, number: int, org: str = "acme") -> None:
        async def work(tx: Tx) -> None:
            await ports.chunks.save(tx, org, await ports.chunks.load(tx, org, number), after)

        await ports.transactions.run(work)

    await save(full, 2)
    await save(full, 2, org="acme-2")
    await save(fold(Chunk(), {0: _contact("first")}), 0)
    assert await ports.chunks.versions("acme") == {0: 1, 2: 1}
    first, second = await ports.chunks.read("acme", [0, 1, 2], ["age", "segments", "attributes.größe", "no"])
    assert (first.number, first.chunk) == (0, Chunk())
    asked = ("age", "segments", "attributes.größe")
    assert second.chunk == Chunk([], {name: full.columns[name] for name in asked})
    less = fold(full, {place: None for place in people if place > 8})
    await save(fold(less, {7: None}), 2)
    (stored,) = await ports.chunks.read("acme", [2], full.columns, ids=True)
    assert (stored.version, stored.chunk) == (2, fold(less, {7: None}))
    assert "tester" not in stored.chunk.columns


async def test_a_mark_appears_with_its_transaction_and_goes_alone(ports: Ports) -> None:
    async def mark(tx: Tx) -> None:
        await ports.marks.add(tx, "acme")

    async def fail(tx: Tx) -> None:
        await ports.marks.add(tx, "lost")
        raise RuntimeError("rolled back")

    await ports.transactions.run(mark)
    with pytest.raises(RuntimeError):
        await ports.transactions.run(fail)
    first = await ports.marks.read(10)
    await ports.transactions.run(mark)
    assert [row.org for row in first] == ["acme"]
    await ports.marks.remove(first)
    assert len(await ports.marks.read(10)) == 1


def _known(sequence: int, status: str, *segments: str, campaign_id: str = "camp_1") -> KnownCampaign:
    audience = AudienceDefinition(segments=list(segments), filters={"a.b$": [1]}) if segments else None
    return KnownCampaign(campaign_id, "acme", "Sale", status, sequence, audience)


async def _note(ports: Ports, campaign: KnownCampaign) -> bool:
    async def work(tx: Tx) -> bool:
        return await ports.campaigns.note(tx, campaign)

    return await ports.transactions.run(work)


async def test_what_is_newer_stays_and_final_campaigns_are_not_counted(ports: Ports) -> None:
    assert await _note(ports, _known(1, "draft", "s1"))
    assert await _note(ports, _known(5, "active"))
    assert not await _note(ports, _known(2, "draft", "s9"))
    (row,) = await ports.campaigns.counted("acme", after_id="", limit=10)
    assert row.audience == AudienceDefinition(segments=["s1"], filters={"a.b$": [1]})
    assert row.total_count is None
    assert await ports.campaigns.counted("acme", after_id="camp_1", limit=10) == []
    assert await ports.campaigns.counted("other", after_id="", limit=10) == []
    assert await _note(ports, _known(6, "completed"))
    assert await ports.campaigns.counted("acme", after_id="", limit=10) == []


async def test_a_count_is_stored_only_over_the_revision_it_was_made_for(ports: Ports) -> None:
    for name in ("camp_1", "camp_2"):
        await _note(ports, _known(1, "draft", "s1", campaign_id=name))
    rows = await ports.campaigns.counted("acme", after_id="", limit=10)

    async def store(revisions: dict[str, tuple[int, int]]) -> list[str]:
        async def work(tx: Tx) -> list[str]:
            return await ports.campaigns.set_counts(tx, revisions)

        return await ports.transactions.run(work)

    old = {row.campaign_id: (row.revision, 7) for row in rows}
    assert await store({"camp_1": (rows[0].revision, 5)}) == ["camp_1"]
    assert await store(old) == ["camp_2"]
    after = {
        row.campaign_id: row.total_count
        for row in await ports.campaigns.counted("acme", after_id="", limit=10)
    }
    assert after == {"camp_1": 5, "camp_2": 7}


async def test_an_audience_is_its_own_organisations_until_the_campaign_is_deleted(ports: Ports) -> None:
    await _note(ports, _known(1, "draft", "s1"))
    assert (await ports.campaigns.audience_of("acme", "camp_1")) == AudienceDefinition(
        segments=["s1"], filters={"a.b$": [1]}
    )
    assert await ports.campaigns.audience_of("other", "camp_1") is None
    assert await ports.campaigns.audience_of("acme", "camp_2") is None
    await _note(ports, replace(_known(2, "cancelled"), deleted=True, audience=AudienceDefinition()))
    assert await ports.campaigns.audience_of("acme", "camp_1") is None
