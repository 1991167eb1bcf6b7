"""The pure rule and MongoDB's condition admit the same contacts; preflight and planning use them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from execution_service.bootstrap import Wiring
from execution_service.domain.audience import AudienceRule, read_rule
from execution_service.domain.contact import Contact
from execution_service.domain.suppression import suppression
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.integration
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)

SEGMENTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, max_size=3)
WORDS = st.sampled_from(["", "a", "b", "ä", "z", "1", "true"])
NUMBERS = st.sampled_from([0, 1, 1.0, 1.5, 2, -1, -(2**40), 2**40])
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans())
KEYS = st.sampled_from(["tier", "n", "größe"])
BOUNDS = st.one_of(
    st.fixed_dictionaries({"min": NUMBERS}, optional={"max": NUMBERS}),
    st.fixed_dictionaries({"max": WORDS}, optional={"min": WORDS}),
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "location": st.lists(st.sampled_from(["US", "CA", "FR"]), max_size=2),
        "ageRange": st.tuples(st.integers(0, 40), st.integers(20, 60)).map(list),
        "interests": st.lists(WORDS, max_size=2),
        "purchaseHistory": st.booleans(),
        "tier": st.one_of(SCALARS, st.lists(SCALARS, max_size=3), BOUNDS),
        "n": st.one_of(SCALARS, st.lists(SCALARS, max_size=3), BOUNDS),
        "größe": st.one_of(SCALARS, BOUNDS),
    },
)
PEOPLE = st.builds(
    dict,
    location=st.one_of(st.none(), st.sampled_from(["US", "CA", "FR"])),
    age=st.one_of(st.none(), st.integers(0, 60)),
    interests=st.lists(WORDS, unique=True, max_size=3).map(tuple),
    purchase_history=st.one_of(st.none(), st.booleans()),
    attributes=st.dictionaries(KEYS, SCALARS),
    segments=SEGMENTS.map(tuple),
    tester=st.booleans(),
    opted_out=st.booleans(),
)


def someone(number: int, fields: Mapping[str, Any]) -> Contact:
    return Contact("acme", f"c{number:03}", 1, NOW, NOW, **fields)


@given(
    st.lists(PEOPLE, min_size=1, max_size=25), st.lists(st.tuples(SEGMENTS, FILTERS, SEGMENTS), max_size=12)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_rule_and_its_condition_admit_the_same_contacts(
    wiring: Wiring, people: list[dict[str, Any]], rules: list[tuple[list[str], dict[str, Any], list[str]]]
) -> None:
    contacts = [someone(number, fields) for number, fields in enumerate(people)]
    await wiring.database["contacts"].delete_many({})
    await wiring.transactions.run(lambda tx: wiring.contacts.insert(tx, contacts))
    for segments, filters, excluded in rules:
        rule = read_rule(segments, filters, excluded)
        for testers_only in (False, True):
            for code in (None, "OPTED_OUT"):
                expected = sum(
                    rule.admits(one)
                    and (one.tester or not testers_only)
                    and (code is None or suppression(one) == code)
                    for one in contacts
                )
                found = await wiring.contacts.count("acme", rule, testers_only=testers_only, suppressed=code)
                assert found == expected, (rule, testers_only, code)


async def test_whole_organisations_and_segments_are_found_by_their_indexes(wiring: Wiring) -> None:
    indexes = await wiring.database["contacts"].index_information()
    keys = {tuple(field for field, _ in index["key"]) for index in indexes.values()}
    assert {("org", "segments", "_id"), ("testerOf",), ("suppressedOf",), ("_id",)} <= keys


async def put(api: httpx.AsyncClient, contact_id: str, **fields: Any) -> None:
    answer = await api.put(f"/api/v1/contacts/{contact_id}", json={"telegramChatId": 1, **fields})
    assert answer.status_code == 200, answer.text


async def test_preflight_tells_whom_filters_leave_and_who_of_them_would_be_skipped(
    api: httpx.AsyncClient,
) -> None:
    await put(api, "c1", segments=["s1"], age=20, tester=True)
    await put(api, "c2", segments=["s1"], age=30, optedOut=True)
    await put(api, "c3", segments=["s1", "vip"], age=30)
    await put(api, "c4", age=99, optedOut=True)
    token = {"Authorization": "Bearer the-internal-token"}

    async def ask(**query: Any) -> dict[str, Any]:
        body = {"org": "acme", "segments": [], **query}
        answer = await api.post("/internal/preflight", json=body, headers=token)
        assert answer.status_code == 200, answer.text
        return {key: answer.json()[key] for key in ("totalCount", "targeted", "testers", "suppressed")}

    assert await ask(segments=["s1"]) == {
        "totalCount": 3, "targeted": 3, "testers": 1, "suppressed": {"OPTED_OUT": 1},
    }  # fmt: skip
    assert (await ask(segments=["s1"], excludeSegments=["vip"]))["totalCount"] == 2
    assert await ask(segments=["s1"], filters={"ageRange": [25, 40]}, excludeSegments=["vip"]) == {
        "totalCount": 1, "targeted": 1, "testers": 0, "suppressed": {"OPTED_OUT": 1},
    }  # fmt: skip
    assert await ask(segments=["s1"], testMode=True) == {
        "totalCount": 3, "targeted": 1, "testers": 1, "suppressed": {},
    }  # fmt: skip
    assert (await ask(filters={"ageRange": [0, 150]}))["suppressed"] == {"OPTED_OUT": 2}
    assert (await ask())["totalCount"] == 0
    refused = await api.post(
        "/internal/preflight", json={"org": "acme", "segments": [], "filters": {"ageRange": 1}}, headers=token
    )
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (422, "filters.ageRange")


async def test_changing_a_contact_moves_it_in_and_out_of_what_is_looked_for_apart(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    rule = AudienceRule(("s1",))
    await put(api, "c1", segments=["s1"], optedOut=True, tester=True)
    assert await wiring.contacts.count("acme", rule, suppressed="OPTED_OUT") == 1
    await put(api, "c1", optedOut=False, tester=False)
    assert await wiring.contacts.count("acme", rule, suppressed="OPTED_OUT") == 0
    assert await wiring.contacts.count("acme", rule, testers_only=True) == 0
    assert await wiring.contacts.count("acme", rule) == 1
