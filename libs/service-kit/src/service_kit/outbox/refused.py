"""What Kafka refuses: `python -m service_kit.outbox.refused <service> [<key>…|--all]`.

Without a key it lists the closed ones with the reason. With keys it opens them, once the cause is
mended (the topic's `max.message.bytes`, say): the relay goes on with each at the row that was refused.
"""

import asyncio
import os
import sys

from contracts.topics import SERVICES

from service_kit.mongo.client import Database, connect
from service_kit.outbox.waiting_rows import REFUSED


async def closed_keys(database: Database) -> list[str]:
    """A line per closed key: key, type, row, reason."""
    rows = database[REFUSED].find({}).sort("_id", 1)
    return [f"{row['_id']}  {row['type']}  {row['row']}  {row['reason']}" async for row in rows]


async def open_keys(database: Database, keys: list[str] | None) -> int:
    """Open `keys`, or all; how many were closed."""
    answer = await database[REFUSED].delete_many({} if keys is None else {"_id": {"$in": keys}})
    return answer.deleted_count


async def _run(service: str, arguments: list[str]) -> str:
    client = connect(os.environ["MONGO_URL"], timeout_ms=5_000)
    try:
        if not arguments:
            return (
                "".join(f"{line}\n" for line in await closed_keys(client[service])) or "nothing is closed\n"
            )
        count = await open_keys(client[service], None if arguments == ["--all"] else arguments)
        return f"{count} opened\n"
    finally:
        client.close()


def main() -> None:
    """`refused <service> [<key>…|--all]`"""
    if len(sys.argv) < 2 or sys.argv[1] not in SERVICES:
        sys.exit(f"error: name a service: {', '.join(SERVICES)}")
    sys.stdout.write(asyncio.run(_run(sys.argv[1], sys.argv[2:])))


if __name__ == "__main__":
    main()
