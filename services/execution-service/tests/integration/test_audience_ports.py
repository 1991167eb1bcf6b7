"""The audience's ports, the same suite on the fakes and on MongoDB."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.campaign import AudienceDefinition
from execution_service.application.ports import AudienceMarks, CampaignAudiences, Contacts, KnownCampaign
from execution_service.bootstrap import Wiring
from execution_service.domain.audience import AudienceRule, read_rule
from execution_service.domain.contact import Contact
from service_kit.ports import Transactions, Tx

pytestmark = pytest.mark.integration
NOW = datetime(2024, 6, 1, 12, 0, 0, 123000, tzinfo=UTC)


@dataclass
class Ports:
    """What the suite holds to its word."""

    contacts: Contacts
    marks: AudienceMarks
    campaigns: CampaignAudiences
    transactions: Transactions


@pytest.fixture(params=["fake", "mongo"])
def ports(request: pytest.FixtureRequest, audience: Any, wiring: Wiring) -> Ports:
    """The ports, once in memory and once in MongoDB."""
    world = audience if request.param == "fake" else wiring
    return Ports(world.contacts, world.marks, world.campaigns, world.transactions)


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


async def test_walking_meets_every_member_once_in_the_order_of_keys(ports: Ports) -> None:
    await _insert(ports, *(_contact(f"c{n:02}", "s1", *(["s2"] if n % 2 else [])) for n in range(25)))
    await _insert(ports, _contact("c00", "s1", org="acme-2"), _contact("c00", "s1", org="a"))
    seen, after = [], ""
    while members := await ports.contacts.walk("acme", "s2", after_key=after, limit=5):
        seen += members
        after = members[-1].key
    assert [member.contact_id for member in seen] == [f"c{n:02}" for n in range(1, 25, 2)]
    assert seen[0].segments == ("s1", "s2")
    assert seen[0].contact is None


async def test_a_whole_organisation_is_walked_and_counted_beside_its_neighbours(ports: Ports) -> None:
    await _insert(
        ports, _contact("c1"), _contact("c2", "s1", tester=True), _contact("c3", opted_out=True, age=30),
        _contact("c1", org="acme-2"), _contact("c1", org="acm"), _contact("c1", org="acme0"),
    )  # fmt: skip
    seen, after = [], ""
    while members := await ports.contacts.walk("acme", None, after_key=after, limit=2, whole=True):
        seen += members
        after = members[-1].key
    assert [member.contact_id for member in seen] == ["c1", "c2", "c3"]
    assert [member.contact and member.contact.age for member in seen] == [None, None, 30]
    everybody = read_rule([], {"ageRange": [0, 99]}, [])
    assert await ports.contacts.count("acme", everybody) == 1
    assert await ports.contacts.count("acme", everybody, suppressed="OPTED_OUT") == 1
    assert await ports.contacts.count("acme", everybody, testers_only=True) == 0
    assert await ports.contacts.count("acme", AudienceRule(("s1",)), suppressed="OPTED_OUT") == 0


async def test_a_union_counts_each_contact_once(ports: Ports) -> None:
    await _insert(
        ports, _contact("c1", "s1", "s2", tester=True), _contact("c2", "s2"), _contact("c3", "s3"),
        _contact("c4"), _contact("c1", "s1", org="other"),
    )  # fmt: skip
    union = AudienceRule(("s1", "s2"))
    assert await ports.contacts.count("acme", union) == 2
    assert await ports.contacts.count("acme", union, testers_only=True) == 1
    assert await ports.contacts.count("acme", AudienceRule()) == 0
    assert await ports.contacts.count("nobody", AudienceRule(("s1",))) == 0


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
