"""Processes killed while they record conversions: whoever tells again has told once."""

import asyncio
import base64
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.envelope import decode_as
from contracts.events.engagement import EngagementConverted
from contracts.tracking import Tracked, TrackedClick, TrackingKeys
from service_kit.clock import SystemClock
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.testing.waiting import eventually
from stats_service.adapters.mongo_conversions import MongoConversions
from stats_service.adapters.mongo_links import MongoLinks
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.application.record_conversion import ConversionTold, RecordConversion, Recorded

VICTIM = Path(__file__).with_name("conversion_victim.py")
ROUNDS = 5
POINTS = ("written", "told", "committed")
KEYS = f"k1:{base64.b64encode(b'1' * 32).decode()}"


async def test_a_conversion_is_there_once_and_told_once_wherever_its_process_is_killed(
    mongo_url: str, mongo_client: Any, mongo_database: Any
) -> None:
    """15 kills, at three points; then two at the same moment tell of each again."""
    database, clock = mongo_database, SystemClock()
    link = {"campaignId": "camp_1", "org": "acme", "messageId": "msg_1", "button": 0, "url": "https://a.example",
            "testMode": False}  # fmt: skip
    await database["links"].insert_one({"_id": f"exec_1:{'ab' * 8}", **link})
    conversions, outbox = MongoConversions(database), MongoOutbox(database, clock=clock)
    await conversions.prepare()
    await outbox.prepare()
    click = TrackedClick(Tracked("exec_1", "ab" * 8, "con_1"), datetime.now(UTC))
    click_id = TrackingKeys(KEYS).sign_click(click)
    record = RecordConversion(
        keys=TrackingKeys(KEYS), links=MongoLinks(database), campaigns=MongoNumbers(database), currencies=conversions,
        conversions=conversions, outbox=outbox, clock=clock, pause=asyncio.sleep,
    )  # fmt: skip

    async def again(external_id: str) -> Recorded | None:
        # The database may keep what the dead one's transaction wrote until its own limit ends that.
        told = ConversionTold(click_id, 10_000, external_id=external_id)
        try:
            return await record(told, org="acme", transactions=MongoTransactions(mongo_client, timeout=5))
        except TimeoutError:
            return None

    async def killed_and_told_again(external_id: str, point: str) -> Counter[bool]:
        arguments = [mongo_url, database.name, KEYS, click_id, external_id, point]
        victim = await asyncio.create_subprocess_exec(sys.executable, str(VICTIM), *arguments)
        assert await victim.wait() == -signal.SIGKILL
        both = [
            eventually(lambda: again(external_id), lambda seen: seen is not None, seconds=60) for _ in "12"
        ]
        return Counter(seen.duplicate for seen in await asyncio.gather(*both) if seen is not None)

    for number in range(ROUNDS):
        seen = await asyncio.gather(
            *(killed_and_told_again(f"order-{point}-{number}", point) for point in POINTS)
        )
        assert seen == [Counter({False: 1, True: 1})] * 2 + [Counter({True: 2})]

    rows = await database["outbox"].find({}).to_list(None)
    told = Counter(decode_as(EngagementConverted, row["value"]).data.conversion_id for row in rows)
    stored = [row["_id"] async for row in database["conversions"].find({})]
    assert told == Counter(stored) and len(stored) == ROUNDS * len(POINTS)
