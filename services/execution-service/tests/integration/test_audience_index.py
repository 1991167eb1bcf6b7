"""The index says what the contacts are: after any changes, whoever folds them, wherever a fold dies."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from execution_service.adapters import mongo_audience_index
from execution_service.application.fold_contacts import FoldContacts
from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.put_contact import put_contact
from execution_service.application.walk_audience import WalkAudience
from execution_service.bootstrap import Wiring
from execution_service.domain.audience import read_rule
from execution_service.domain.audience_columns import CHUNK_SIZE, Chunk, fold
from execution_service.domain.contact import Contact
from execution_service.domain.suppression import SUPPRESSIONS
from service_kit.ports import Transactions, Tx
from service_kit.testing.fakes import Died, DyingTransactions

pytestmark = pytest.mark.integration
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def folding(wiring: Wiring, transactions: Transactions | None = None) -> FoldContacts:
    return FoldContacts(
        changes=wiring.changes,
        chunks=wiring.chunks,
        contacts=wiring.contacts,
        marks=wiring.marks,
        transactions=transactions or wiring.import_transactions,
    )


async def put(wiring: Wiring, number: int, **fields: Any) -> None:
    await put_contact(
        "acme", f"c{number:04}", {"telegramChatId": 1, **fields},
        contacts=wiring.contacts, segments=wiring.segments, transactions=wiring.import_transactions,
        clock=wiring.clock,
    )  # fmt: skip


async def insert(wiring: Wiring, contacts: Sequence[Contact]) -> None:
    await wiring.import_transactions.run(lambda tx: wiring.contacts.insert(tx, contacts))


async def erase(wiring: Wiring, number: int) -> None:
    async def work(tx: Tx) -> None:
        found = await wiring.contacts.get("acme", f"c{number:04}", tx=tx)
        if found:
            await wiring.contacts.erase(tx, found)

    await wiring.import_transactions.run(work)


async def stored(wiring: Wiring) -> dict[str, Contact]:
    rows = await wiring.database["contacts"].find({"org": "acme"}, {"contactId": 1}).to_list(None)
    return await wiring.contacts.by_ids("acme", [row["contactId"] for row in rows])


async def assert_the_index_is_what_the_contacts_are(wiring: Wiring) -> None:
    expected: dict[int, dict[int, Contact]] = {}
    for contact in (await stored(wiring)).values():
        expected.setdefault(contact.ordinal // CHUNK_SIZE, {})[contact.ordinal % CHUNK_SIZE] = contact
    for number in await wiring.chunks.versions("acme"):
        chunk = (await wiring.transactions.run(lambda tx, n=number: wiring.chunks.load(tx, "acme", n))).chunk
        made = fold(Chunk(), expected.pop(number, {}))
        assert chunk.columns == made.columns
        assert [*filter(None, chunk.ids)] == [*filter(None, made.ids)]
        assert all(chunk.ids[place] == name for place, name in enumerate(made.ids))
    assert expected == {}


async def caught_up(wiring: Wiring) -> None:
    async for _ in wiring.fold.catch_up("acme"):
        pass


async def test_changed_moved_erased_and_returned_contacts_are_all_folded(wiring: Wiring) -> None:
    for number in range(6):
        await put(wiring, number, segments=["a"], age=20 + number, optedOut=number == 1)
    await caught_up(wiring)
    measure, rule = MeasureAudience(chunks=wiring.chunks, fold=wiring.fold, catch_up_seconds=10), read_rule
    assert (await measure.current("acme", rule(["a"], None, []))).total == 6
    await put(wiring, 0, segments=["b"])
    await erase(wiring, 1)
    await put(wiring, 2, age=None)
    await erase(wiring, 3)
    await put(wiring, 3, segments=["b"], tester=True)
    assert (await measure.current("acme", rule(["a"], None, []))).total == 3
    both = await measure.current("acme", rule(["b", "a"], None, []))
    assert (both.total, both.testers, both.suppressed, both.by_segment) == (
        5, 1, dict.fromkeys(SUPPRESSIONS, 0), {"b": 2, "a": 3},
    )  # fmt: skip
    assert (await measure.current("acme", rule([], {"ageRange": [0, 99]}, []))).total == 3
    assert await wiring.changes.waiting("acme") == []
    await assert_the_index_is_what_the_contacts_are(wiring)


async def test_a_fold_that_dies_at_any_step_leaves_its_changes_to_the_next_one(wiring: Wiring) -> None:
    ordinals = wiring.database["audience_ordinals"]
    for number in range(3):  # three contacts in three chunks, changed together
        await put(wiring, number, age=number)
        await ordinals.update_one({"_id": "acme"}, {"$inc": {"last": CHUNK_SIZE}})
    await caught_up(wiring)
    people = list((await stored(wiring)).values())
    for lives in range(3):
        for after in (False, True):
            changed = [
                Contact(
                    **{name: getattr(one, name) for name in Contact.__slots__} | {"age": lives + 10 * after}
                )
                for one in people
            ]
            await wiring.transactions.run(lambda tx, changed=changed: wiring.contacts.replace(tx, changed))
            await wiring.marks.remove(await wiring.marks.read(100))
            dying = DyingTransactions(wiring.import_transactions, lives=lives, after=after)
            with pytest.raises(Died):
                await folding(wiring, dying).oldest()
            assert len(await wiring.changes.waiting("acme")) == 1
            assert len(await wiring.marks.read(100)) == lives + after, "each stored chunk is counted again"
            assert await folding(wiring).oldest() == 1
            assert await wiring.changes.waiting("acme") == []
            await assert_the_index_is_what_the_contacts_are(wiring)


async def test_folds_that_race_with_each_other_and_with_changes_lose_nothing(wiring: Wiring) -> None:
    dice = random.Random(7)
    writing = True

    async def write(seed: int) -> None:
        for _ in range(25):
            number = dice.randrange(4)
            if dice.random() < 0.2:
                await erase(wiring, number)
            else:
                await put(wiring, number, age=dice.randrange(3), segments=[f"s{dice.randrange(3)}"])

    async def keep_folding() -> None:
        fold_here = folding(wiring)
        while writing:
            await fold_here.oldest()
            await asyncio.sleep(0)

    folds = [asyncio.create_task(keep_folding()) for _ in range(3)]
    await asyncio.gather(*(write(seed) for seed in range(2)))
    writing = False
    await asyncio.gather(*folds)
    await caught_up(wiring)
    await assert_the_index_is_what_the_contacts_are(wiring)


async def test_a_stale_fold_is_refused_though_the_newer_one_had_no_column_to_write(wiring: Wiring) -> None:
    await put(wiring, 1, age=1, location="US")
    await caught_up(wiring)
    await put(wiring, 1, location="CA")

    class Interrupted:
        """The newer fold comes between the stale one's reads and its writes."""

        attempts = 0

        async def by_ids(self, org: str, ids: Sequence[str], *, tx: Tx | None = None) -> dict[str, Contact]:
            found = await wiring.contacts.by_ids(org, ids, tx=tx)
            self.attempts += 1
            if self.attempts == 1:
                await put(wiring, 1, location="US")
                newest = (await wiring.changes.waiting("acme"))[1:]
                only_it = await wiring.changes.read(newest)
                async for _ in folding(wiring)._fold(only_it):
                    pass
            return found

    stale = Interrupted()
    old = folding(wiring)
    old._contacts = stale  # type: ignore[assignment]
    assert await old.oldest() == 1
    assert stale.attempts == 2
    assert await wiring.changes.waiting("acme") == []
    await assert_the_index_is_what_the_contacts_are(wiring)


async def test_a_column_of_many_long_values_takes_several_rows(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_audience_index, "ROW_BYTES", 2_000)
    people = [
        Contact("acme", f"c{n:04}", 1, NOW, NOW, attributes={"long": f"{n}" * 100, "short": 1})
        for n in range(50)
    ]
    await insert(wiring, people)
    await caught_up(wiring)
    columns = wiring.database["audience_columns"]
    assert await columns.count_documents({"_id": {"$regex": "attributes.long"}}) > 5
    await assert_the_index_is_what_the_contacts_are(wiring)
    for number in range(48):
        await erase(wiring, number)
    await caught_up(wiring)
    assert await columns.count_documents({"_id": {"$regex": "attributes.long"}}) == 1
    await assert_the_index_is_what_the_contacts_are(wiring)


async def test_walking_meets_everybody_stored_before_once_and_nobody_stored_later(wiring: Wiring) -> None:
    walk = WalkAudience(chunks=wiring.chunks, fold=wiring.fold, segments=wiring.segments)
    for begin in range(2):
        await insert(
            wiring,
            [
                Contact("acme", f"c{n:04}", 1, NOW, NOW, segments=("a",))
                for n in range(begin * 5, begin * 5 + 5)
            ],
        )
        await wiring.database["audience_ordinals"].update_one({"_id": "acme"}, {"$inc": {"last": CHUNK_SIZE}})
    rule = read_rule(["a"], None, [])
    seen, key = [], ""
    async for member in walk.members("acme", rule, testers_only=False, after=""):
        if member.contact_id == "c0007":
            break  # it dies here, with the key before it
        seen, key = seen + [member.contact_id] * bool(member.contact_id), member.key
    await put(wiring, 10, segments=["a"])
    await erase(wiring, 3)
    await put(wiring, 3, segments=["a"])
    await erase(wiring, 8)
    async for member in walk.members("acme", rule, testers_only=False, after=key):
        seen += [member.contact_id] * bool(member.contact_id)
    assert seen == [f"c{n:04}" for n in (0, 1, 2, 3, 4, 5, 6, 7, 9)]
