"""/contacts: listed by page and by filter, and erased, black box on a real database."""

from typing import Any

import bson
import httpx
import pytest
from contracts.catalogue import decode
from execution_service.bootstrap import Wiring
from execution_service.domain.audience_columns import CHUNK_SIZE

pytestmark = pytest.mark.integration
API = "/api/v1"


async def _import(api: httpx.AsyncClient, lines: list[str]) -> None:
    body = "\n".join(["id,telegramChatId,segments,tester,optedOut,attributes.plan", *lines])
    answer = await api.post(f"{API}/contacts/import", content=body, headers={"Content-Type": "text/csv"})
    assert answer.json()["data"]["imported"] == len(lines), answer.text


async def _ids(api: httpx.AsyncClient, limit: int = 3, **query: Any) -> list[str]:
    """All pages' ids; every page is checked for its size."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.get(f"{API}/contacts", params={"limit": limit, **query, **cursor})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert len(data["contacts"]) <= limit
        ids += [contact["id"] for contact in data["contacts"]]
        if data["nextCursor"] is None:
            return ids
        cursor = {"cursor": data["nextCursor"]}


async def test_contacts_are_listed_by_page_as_they_came_and_by_filter(api: httpx.AsyncClient) -> None:
    await api.post(f"{API}/segments", json={"id": "pros", "name": "Pros", "filters": {"plan": "pro"}})
    await _import(
        api, ["z,1,s1,true,,", "a,2,s1;s2,,true,pro", "m,3,,,,pro", "b,4,s2,true,true,", "k,5,s1,,,"]
    )
    assert await _ids(api) == ["z", "a", "m", "b", "k"]
    assert await _ids(api, limit=5) == ["z", "a", "m", "b", "k"]
    assert await _ids(api, limit=1, segment="s1") == ["z", "a", "k"]
    assert await _ids(api, segment="pros") == ["a", "m"]
    assert await _ids(api, segment="nobody") == []
    assert await _ids(api, tester="true") == ["z", "b"]
    assert await _ids(api, tester="false", segment="s1") == ["a", "k"]
    assert await _ids(api, optedOut="true") == ["a", "b"]
    assert await _ids(api, optedOut="false", tester="true") == ["z"]
    shown = (await api.get(f"{API}/contacts", params={"limit": 1})).json()["data"]["contacts"]
    assert shown == [(await api.get(f"{API}/contacts/z")).json()["data"]]
    for bad in ({"cursor": "x"}, {"limit": 0}, {"limit": 101}, {"tester": "maybe"}, {"segment": "a b"}):
        assert (await api.get(f"{API}/contacts", params=bad)).status_code == 400, bad


async def test_who_is_changed_erased_or_added_while_pages_are_read_disturbs_nobody_else(
    api: httpx.AsyncClient,
) -> None:
    await _import(api, [f"c{n},1,s1,,," for n in range(6)])
    first = (await api.get(f"{API}/contacts", params={"limit": 2})).json()["data"]
    await api.put(f"{API}/contacts/c0", json={"age": 5})
    await api.delete(f"{API}/contacts/c1")
    await api.delete(f"{API}/contacts/c3")
    await _import(api, ["c9,1,s1,,,", "c3,1,s1,,,"])
    rest = await _ids(api, cursor=first["nextCursor"])
    assert rest == ["c2", "c4", "c5", "c9", "c3"]


async def test_a_list_goes_on_over_chunks_and_over_those_that_hold_nobody(
    api: httpx.AsyncClient, wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execution_service.application.list_contacts.CHUNKS_AT_MOST", 2)
    await _import(api, ["first,1,,true,,"])
    for chunk in (1, 2, 5):
        await wiring.database["audience_ordinals"].update_one({}, {"$set": {"last": chunk * CHUNK_SIZE - 2}})
        await _import(api, [f"c{chunk}-{n},1,,,," for n in range(3)])
    await _import(api, ["last,1,,true,,"])
    everybody = ["first", *(f"c{chunk}-{n}" for chunk in (1, 2, 5) for n in range(3)), "last"]
    assert await _ids(api, limit=4) == everybody
    assert await _ids(api, tester="true") == ["first", "last"]


async def test_an_erased_person_is_nowhere_any_more_and_the_others_hear_of_it(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    person = {
        "telegramChatId": 9_876_543_210_123, "firstName": "Zoëuniq", "lastName": "Lastuniq", "username": "useruniq",
        "lastPurchase": "thinguniq", "interests": ["interestuniq"], "attributes": {"mail": "mailuniq@x.org"},
        "segments": ["s1"], "tester": True,
    }  # fmt: skip
    await api.put(f"{API}/contacts/ann", json=person)
    await api.put(f"{API}/contacts/bob", json={"telegramChatId": 5, "segments": ["s1"]})
    await _ids(api)  # both are in the index
    assert await _found(wiring, "uniq") and await _found(wiring, person["telegramChatId"])
    erased = await api.delete(f"{API}/contacts/ann")
    assert erased.status_code == 200, erased.text
    assert (await api.get(f"{API}/contacts/ann")).status_code == 404
    assert (await api.delete(f"{API}/contacts/ann")).status_code == 404
    assert await _ids(api) == ["bob"]
    assert await _found(wiring, "uniq") == await _found(wiring, person["telegramChatId"]) == []
    rows = await wiring.database["outbox"].find({"type": "contact.erased"}).to_list(None)
    (event,) = [decode(bytes(row["value"])) for row in rows]
    assert (event.subject, event.orgid, event.data.contact_id) == ("acme/ann", "acme", "ann")
    again = await api.put(f"{API}/contacts/ann", json={"telegramChatId": 7})
    assert (again.status_code, again.json()["data"]["firstName"]) == (200, None)
    assert await _ids(api) == ["bob", "ann"]


async def test_an_attribute_that_becomes_true_instead_of_one_is_stored(api: httpx.AsyncClient) -> None:
    for value in (1, True, 1.5, "1"):
        put = await api.put(f"{API}/contacts/c", json={"telegramChatId": 1, "attributes": {"vip": value}})
        assert put.json()["data"]["attributes"]["vip"] is not None
        shown = (await api.get(f"{API}/contacts/c")).json()["data"]["attributes"]["vip"]
        assert (type(shown), shown) == (type(value), value)


async def _found(wiring: Wiring, wanted: Any) -> list[str]:
    """The collections that hold the text or number anywhere, byte for byte."""
    needle = wanted.encode() if isinstance(wanted, str) else wanted.to_bytes(8, "little")
    found = []
    for name in await wiring.database.list_collection_names():
        rows = await wiring.database[name].find({}).to_list(None)
        if any(needle in bson.encode(row) for row in rows):
            found.append(name)
    return found
