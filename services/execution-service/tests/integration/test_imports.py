"""Imports that are watched, break off, are sent again, and die: the numbers are those of an unbroken one."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from execution_service.bootstrap import Wiring
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration
URL = "/api/v1/contacts/import"
NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}
VICTIM = Path(__file__).with_name("import_victim.py")
NUMBERS = ("status", "lines", "bytes", "imported", "updated", "rejected", "errors")


def _file(lines: int) -> bytes:
    """Every tenth line is bad, every seventh person comes seven times."""
    return b"".join(
        b"nonsense\n"
        if n % 10 == 0
        else json.dumps({"id": f"c{n - n % 7}", "telegramChatId": n, "segments": ["s1"]}).encode() + b"\n"
        for n in range(1, lines + 1)
    )


async def _send(api: httpx.AsyncClient, content: Any, import_id: str | None = None) -> httpx.Response:
    params = {"importId": import_id} if import_id else {}
    return await api.post(URL, content=content, headers=NDJSON, params=params, timeout=60)


async def _stored(wiring: Wiring) -> list[dict[str, Any]]:
    rows = await wiring.database["contacts"].find({}).sort("_id", 1).to_list(None)
    return [{key: row[key] for key in ("_id", "telegramChatId", "segments", "createdAt")} for row in rows]


def _numbers(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    return {name: data[name] for name in NUMBERS}


@pytest.mark.parametrize("point", ["before", "after"])
async def test_an_import_whose_process_was_killed_goes_on_where_it_was(
    api: httpx.AsyncClient,
    wiring: Wiring,
    mongo_url: str,
    tmp_path: Path,
    token: Callable[..., str],
    point: str,
) -> None:
    data, path = _file(4200), tmp_path / "file"
    path.write_bytes(data)
    elsewhere = {"Authorization": f"Bearer {token(org='other')}"}
    whole = await api.post(URL, content=data, headers={**NDJSON, **elsewhere})
    victim = await asyncio.create_subprocess_exec(
        sys.executable, str(VICTIM), mongo_url, wiring.database.name, str(path), point
    )
    assert await victim.wait() == -signal.SIGKILL
    left = (await api.get("/api/v1/contacts/imports/night")).json()["data"]
    assert left["lines"] == 2000, "two batches are committed, and the record of them with them"
    assert left["imported"] + left["updated"] + left["rejected"] == 2000

    async def again() -> httpx.Response:
        return await _send(api, data, "night")

    def taken(answer: httpx.Response) -> bool:
        return answer.status_code not in (409, 503)  # until the database ends what the dead process began

    rest = await eventually(again, taken, seconds=60)
    assert _numbers(rest) == _numbers(whole)
    assert rest.json()["data"]["startedAt"] == left["startedAt"]
    names = [
        row["_id"].removeprefix("acme/") for row in await _stored(wiring) if row["_id"].startswith("acme/")
    ]
    assert names == sorted({f"c{n - n % 7}" for n in range(1, 4201) if n % 10})
    assert (await api.get("/api/v1/contacts/imports/night", headers=elsewhere)).status_code == 404


async def test_an_import_is_watched_while_it_runs_and_runs_once(api: httpx.AsyncClient) -> None:
    data, go_on = _file(3500), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        await go_on.wait()
        yield data[len(data) // 2 :]

    async def progress() -> Any:
        return (await api.get("/api/v1/contacts/imports/day")).json().get("data")

    sending = asyncio.create_task(_send(api, slowly(), "day"))
    seen = await eventually(progress, lambda data: data is not None and data["lines"] == 1000)
    assert (seen["status"], seen["imported"] + seen["updated"] + seen["rejected"]) == ("running", 1000)
    second = await _send(api, data, "day")
    assert (second.status_code, second.json()["error"]["code"]) == (409, "IMPORT_RUNNING")
    assert second.headers["retry-after"]
    go_on.set()
    first = await sending
    assert _numbers(first)["status"] == "completed"
    assert (await progress()) == first.json()["data"]
    assert _numbers(await _send(api, data, "day")) == _numbers(first)
    other = await _send(api, b'{"id": "x", "telegramChatId": 1}\n', "day")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IMPORT_ID_REUSED")


async def test_a_file_sent_again_without_an_id_writes_nothing(api: httpx.AsyncClient, wiring: Wiring) -> None:
    data = b"".join(b'{"id": "c%d", "telegramChatId": %d}\n' % (n, n) for n in range(1, 1500))
    first = (await _send(api, data)).json()["data"]
    before = await wiring.database["contacts"].find({}).sort("_id", 1).to_list(None)
    changes = await wiring.changes.waiting("acme")
    second = (await _send(api, data)).json()["data"]
    assert (first["imported"], second["imported"], second["updated"]) == (1499, 0, 1499)
    assert first["importId"] != second["importId"]
    assert await wiring.database["contacts"].find({}).sort("_id", 1).to_list(None) == before
    assert await wiring.changes.waiting("acme") == changes


async def test_a_file_cut_in_half_is_stored_but_for_its_last_line(api: httpx.AsyncClient) -> None:
    whole = b'id,telegramChatId,firstName\nc1,1,"Al"\nc2,2,"Bo"\n'
    csv = (await api.post(URL, content=whole[:-4], headers=CSV)).json()["data"]
    assert (csv["imported"], csv["errors"]) == (1, [{"line": 3, "message": "a quote is not closed"}])
    lines = b'{"id": "n1", "telegramChatId": 1}\n{"id": "n2", "telegramChatId": 2}\n'
    ndjson = (await _send(api, lines[:-9])).json()["data"]
    assert ndjson["imported"] == 1
    assert ndjson["errors"][0]["message"].startswith("not valid JSON: unexpected end of data")


async def test_unknown_columns_are_told_once_and_the_rest_goes_on(api: httpx.AsyncClient) -> None:
    rows = b"id,telegramChatId,shoeSize\nc1,1,42\nc2,0,43\n"
    data = (await api.post(URL, content=rows, headers=CSV)).json()["data"]
    assert (data["imported"], data["rejected"]) == (1, 1)
    assert data["errors"] == [
        {"line": 1, "message": "unknown columns, passed over: shoeSize"},
        {"line": 3, "message": "telegramChatId: must not be 0"},
    ]
    many = ",".join(["id", "telegramChatId", *(f"attributes.k{n}" for n in range(198))])
    row = ",".join(["c3", "3", *["1"] * 198])
    answer = await api.post(URL, content=f"{many}\n{row}\nc4,4{',' * 198}\n".encode(), headers=CSV)
    data = answer.json()["data"]
    assert (data["imported"], data["errors"]) == (
        1, [{"line": 2, "message": "attributes: must not have more than 100 keys"}],
    )  # fmt: skip
