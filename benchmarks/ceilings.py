"""What the parts could do at most, in the same run: HTTP clients in a bare loop, the driver's inserts."""

import asyncio
import json
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from bson import encode
from execution_contacts import contact_id
from service_kit.mongo.client import Database
from telegram_sink import TelegramSink

SENDER = Path(__file__).parent / "bare_sender.py"
CLIENTS = ("adapter", "pyreqwest")
SENDING_SECONDS = 300
BATCH = 1_000
WEIGHED = 500
BARE_CONTACTS = "bench_contacts"


async def sending(
    sink: TelegramSink, *, messages: int, in_flight: tuple[int, ...], said: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row per client, number of processes and messages in flight in each."""
    rows = []
    for client in CLIENTS:
        for processes in (1, 2):
            for waiting in in_flight:
                row = await _send(sink, client, processes, waiting, messages // processes)
                rows.append(row)
                said(f"ceiling: {client} in {processes} processes, {waiting} in flight: "
                     f"{row['perSecond']:,.0f}/s, {row['cpuPerMillion']:.0f} CPU-s a million")  # fmt: skip
    return rows


def best(rows: list[dict[str, Any]], processes: int, client: str | None = None) -> float:
    """The most messages a second that `client` (None: any) sent from so many processes."""
    return max(
        float(row["perSecond"])
        for row in rows
        if row["processes"] == processes and client in (None, row["client"])
    )


async def _send(sink: TelegramSink, client: str, processes: int, waiting: int, each: int) -> dict[str, Any]:
    sink.reset()
    sink_process = psutil.Process(sink.process.pid)
    before = sum(sink_process.cpu_times()[:2])
    commands = [
        [str(SENDER), client, sink.url, str(each), str(1 + number * each), str(waiting)]
        for number in range(processes)
    ]
    senders = [
        await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        for command in commands
    ]
    try:
        async with asyncio.timeout(SENDING_SECONDS):
            outputs = [(await sender.communicate())[0] for sender in senders]
    finally:
        for sender in senders:
            if sender.returncode is None:
                sender.kill()
    if any(sender.returncode for sender in senders):
        raise SystemExit(f"error: the bare loop of {client} failed")
    found, counts = [json.loads(output) for output in outputs], sink.counts()
    if counts.unique != each * processes or counts.doubled:
        raise SystemExit(f"error: the bare loop of {client} did not send what it says: {counts}")
    seconds = counts.last - counts.first
    return {
        "client": client,
        "processes": processes,
        "inFlight": waiting,
        "perSecond": round(counts.unique / seconds, 1),
        "cpuPerMillion": round(sum(one["cpu"] for one in found) / counts.unique * 1e6, 1),
        "sinkBusy": round((sum(sink_process.cpu_times()[:2]) - before) / seconds, 3),
    }


async def inserting(database: Database, pattern: dict[str, Any], count: int) -> float:
    """Contacts a second by the driver alone: the document that an import stored, with the same indexes."""
    rows = database[BARE_CONTACTS]
    await rows.drop()
    indexes = await database["contacts"].index_information()
    for index in (index for name, index in indexes.items() if name != "_id_"):
        await rows.create_index(list(index["key"]), sparse=bool(index.get("sparse")))
    numbers, began = iter(range(count)), perf_counter()
    async with await database.client.start_session() as session:
        while some := list(islice(numbers, BATCH)):
            batch = [
                pattern | {"_id": f"bare/{contact_id(n)}", "contactId": contact_id(n), "telegramChatId": n}
                for n in some
            ]
            async with session.start_transaction():
                await rows.insert_many(batch, ordered=True, session=session)
    rate = count / (perf_counter() - began)
    await rows.drop()
    return rate


async def stored_bytes(database: Database) -> dict[str, float]:
    """BSON bytes by collection. Of a large one a sample is weighed and counted up."""
    found: dict[str, float] = {}
    for name in await database.list_collection_names():
        if name in ("contacts", BARE_CONTACTS):
            continue
        count = await database[name].estimated_document_count()
        sample = await database[name].find().limit(WEIGHED).to_list(None)
        if sample:
            found[name] = count * sum(len(encode(row)) for row in sample) / len(sample)
    return found
