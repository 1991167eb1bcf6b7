"""The ceiling of folding: a bare consumer, msgspec, and counts in dicts that nobody stores.

python bare_fold.py <kafka servers> <topic> <{"partition": [first offset, offset after the last]} as JSON>

Prints one line of JSON: outcomes, seconds from the first answer of the broker on, CPU seconds, and the rows.
"""

import asyncio
import json
import sys
from collections import Counter
from time import perf_counter, process_time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from contracts.events.delivery import FastDelivery, decode_fast

Counts = Counter[tuple[Any, ...]]
MOST = 1_000
"""Messages asked for at once; as many as the aggregator folds at once."""


def add(event: FastDelivery, counts: Counts) -> int:
    """Count the event's rows, per minute, for all, their variation, their segments and error."""
    data, outcomes = event.data, 0
    campaign, names = data.campaign_id, data.segment_ids
    for row in data.tally:
        minute, status, count = row.minute, row.status, row.count
        outcomes += count
        counts[campaign, minute, status] += count
        counts[campaign, minute, row.message_id, row.variation_id, status] += count
        for place in row.segments:
            counts[campaign, minute, names[place], status] += count
        if row.error_code is not None:
            counts[campaign, minute, row.error_code, status] += count
    return outcomes


async def consume(servers: str, topic: str, bounds: dict[int, tuple[int, int]]) -> dict[str, Any]:
    """Fold everything in the bounds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    parts = {TopicPartition(topic, number): ends for number, ends in bounds.items() if ends[0] < ends[1]}
    counts: Counts = Counter()
    outcomes, left = 0, {part: last - first for part, (first, last) in parts.items()}
    await consumer.start()
    try:
        consumer.assign(list(parts))
        for part, (first, _) in parts.items():
            consumer.seek(part, first)
        began = began_cpu = None
        while any(count > 0 for count in left.values()):
            found = await consumer.getmany(timeout_ms=1_000, max_records=MOST)
            if began is None and found:
                began, began_cpu = perf_counter(), process_time()
            for part, records in found.items():
                left[part] -= len(records)
                for record in records:
                    outcomes += add(decode_fast(record.value), counts)
        took, cpu = perf_counter() - (began or 0), process_time() - (began_cpu or 0)
    finally:
        await consumer.stop()
    return {"outcomes": outcomes, "seconds": took, "cpuSeconds": cpu, "rows": len(counts)}


def main(servers: str, topic: str, bounds: str) -> None:
    """Print what was found."""
    ends = {int(number): (first, last) for number, (first, last) in json.loads(bounds).items()}
    print(json.dumps(asyncio.run(consume(servers, topic, ends))))  # noqa: T201 - the answer


if __name__ == "__main__":
    main(*sys.argv[1:])
