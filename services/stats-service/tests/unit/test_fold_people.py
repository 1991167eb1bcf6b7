"""Clicks, conversions and deliveries in any order and any batches end in the same numbers."""

import asyncio
import itertools
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from service_kit.ports import Tx
from service_kit.testing.fakes import InMemoryTransactions
from stats_service.domain.dimensions import Cell, Kind
from stats_service.domain.facts import Clicked, ClickTold, Converted, Fact, TallyRow, WindowRecorded
from stats_service.domain.fold import fold
from stats_service.domain.people import reference, references
from stats_service.domain.person import MOST_CLICKS, Click, Conversion, Person, Received, contributions
from stats_service.domain.states import Ahead, Known, PersonKey, Result, names_in

MINUTE = 60_000
WINDOW_MS = 60 * MINUTE
CONTACTS = ["ann", "bob", "cem"]
SEGMENTS = {"ann": ("seg_a",), "bob": ("seg_a", "seg_b"), "cem": ()}
CAMPAIGNS = ["camp_1", "camp_2"]


def window(campaign: str, number: int, message: str, contacts: list[str], minute: int) -> WindowRecorded:
    """A window whose message reached `contacts`."""
    rows = tuple(
        TallyRow(minute, message, "", "successful", "", 1, SEGMENTS[contact], references([contact]))
        for contact in contacts
    )
    return WindowRecorded(campaign, "acme", f"exec_{campaign}", 0, number, shard_completed=False, rows=rows)


def clicked(campaign: str, contact: str, name: str, at: int, message: str = "msg_1") -> Clicked:
    return Clicked(campaign, "acme", reference(contact), reference(name), message, at)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Two messages to some contacts of two campaigns, and what they and others did."""
    facts: list[Fact] = []
    moments, who = st.integers(90 * MINUTE, 200 * MINUTE), st.sampled_from(CONTACTS)
    for campaign, (number, message) in itertools.product(CAMPAIGNS, enumerate(["msg_1", "msg_2"])):
        contacts = draw(st.lists(who, unique=True))
        facts.append(window(campaign, number, message, contacts, 100 + 20 * number))
    where = st.sampled_from(CAMPAIGNS)
    messages = st.sampled_from(["msg_1", "msg_2"])
    for name in range(draw(st.integers(0, 8))):
        facts.append(clicked(draw(where), draw(who), f"click_{name}", draw(moments), draw(messages)))
    for name in range(draw(st.integers(0, 8))):
        click = draw(st.none() | st.builds(ClickTold, moments, messages))
        contact, conversion = reference(draw(who)), reference(f"conv_{name}")
        value = draw(st.integers(0, 9))
        facts.append(Converted(draw(where), "acme", contact, conversion, value, "EUR", draw(moments), click))
    return facts


async def folded(store: Any, facts: list[Fact]) -> Counter[Result]:
    """Fold one batch into the store."""

    async def work(tx: Tx) -> Counter[Result]:
        known = await store.known(tx, names_in(facts), Ahead())
        changes = fold(facts, known, window_ms=WINDOW_MS)
        await store.apply(tx, known, changes)
        return changes.results

    return await InMemoryTransactions().run(work)


def engaged_cells(store: Any, campaign: str) -> dict[Cell, int]:
    """What persons count, as the store has it."""
    of_deliveries = {"sent", "delivered"}
    found = store.cells.get(campaign, {}).items()
    return {cell: number for cell, number in found if number and cell.metric not in of_deliveries}


def final(facts: list[Fact], campaign: str) -> dict[Cell, int]:
    """What the persons count when everything is known of them at once."""
    cells: Counter[Cell] = Counter()
    for contact in CONTACTS:
        made = Person()
        for fact in facts:
            if isinstance(fact, WindowRecorded) and fact.campaign == campaign:
                rows = [row for row in fact.rows if row.contacts == reference(contact)]
                made = made.reached([Received(row.minute, row.message, "", row.segments) for row in rows])
            elif isinstance(fact, Clicked) and (fact.campaign, fact.contact) == (
                campaign,
                reference(contact),
            ):
                made = made.clicked(Click(fact.at, fact.event, fact.message))
            elif isinstance(fact, Converted) and (fact.campaign, fact.contact) == (
                campaign,
                reference(contact),
            ):
                done = Conversion(fact.at, fact.conversion, fact.value, fact.currency, fact.click)
                made = made.converted(done)
        cells.update(contributions(made, WINDOW_MS))
    return {cell: number for cell, number in cells.items() if number}


@given(histories(), st.data())
def test_any_order_and_any_batches_with_duplicates_give_what_the_persons_count_in_the_end(
    make_stats: Any, history: list[Fact], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(history), max_size=6))
    stream = data.draw(st.permutations(history + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    store = make_stats()
    batches = [stream[left:right] for left, right in itertools.pairwise([0, *cuts, len(stream)])]

    async def fold_all() -> Counter[Result]:
        results: Counter[Result] = Counter()
        for batch in batches:
            results += await folded(store, batch)
        return results

    results = asyncio.run(fold_all())
    assert results == +Counter({Result.COUNTED: len(history), Result.DUPLICATE: len(again)})
    for campaign in CAMPAIGNS:
        assert engaged_cells(store, campaign) == final(history, campaign)


def test_what_somebody_does_too_often_is_dropped_and_told_so() -> None:
    key = PersonKey("camp_1", reference("ann"))
    clicks = tuple(
        Click(number, bytes([number // 256, number % 256]), "msg_1") for number in range(MOST_CLICKS)
    )
    known = Known(people={key: Person(clicks=clicks)})
    late = clicked("camp_1", "ann", "late", 10**9)
    changes = fold([late, late], known, window_ms=WINDOW_MS)
    assert (changes.results, changes.books) == ({Result.DROPPED: 2}, {})


def test_a_click_before_its_delivery_counts_for_the_message_once_that_is_folded(stats: Any) -> None:
    click, delivery = clicked("camp_1", "bob", "a", 101 * MINUTE), window("camp_1", 0, "msg_1", ["bob"], 100)
    lines = []
    for fact in (click, delivery, delivery):
        asyncio.run(folded(stats, [fact]))
        cells = engaged_cells(stats, "camp_1")
        lines.append({cell.line.kind for cell in cells})
        assert set(cells.values()) == {1}
    everything = {Kind.ALL, Kind.MESSAGE, Kind.SEGMENT}
    assert lines == [{Kind.ALL}, everything, everything]
