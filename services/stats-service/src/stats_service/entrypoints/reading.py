"""From records to batches of facts."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from contracts.envelope import ContractError

from stats_service.application.fold_batch import Batch
from stats_service.application.ports import Partition, Record
from stats_service.application.read_fact import read_fact
from stats_service.domain.facts import Fact, WindowRecorded
from stats_service.domain.odd import is_of_the_future

Refused = tuple[Record, str, str]
"""A record that is to be parked, the kind of the reason, and the reason."""


def read(records: Sequence[Record]) -> tuple[list[tuple[int, Fact]], list[Refused]]:
    """The facts in `records` by offset, and what is none that could be counted."""
    facts: list[tuple[int, Fact]] = []
    refused: list[Refused] = []
    for record in records:
        try:
            fact = read_fact(record.value)
        except ContractError as error:
            refused.append((record, "unreadable", f"{type(error).__name__}: {error}"))
            continue
        if fact is not None and is_of_the_future(fact, record.at_ms):
            refused.append((record, "future", "future"))
        elif fact is not None:
            facts.append((record.offset, fact))
    return facts, refused


def batches_of(groups: Mapping[Partition, Sequence[Record]]) -> list[Batch] | None:
    """A batch for each partition; None when one has gaps, or something to be parked."""
    batches = []
    for partition, records in groups.items():
        if len(list(runs(records))) != 1:
            return None
        facts, refused = read(records)
        if refused:
            return None
        batches.append(Batch(partition, records[0].offset, records[-1].offset, facts))
    return batches


def recorded(batches: Sequence[Batch]) -> list[datetime]:
    """When the outcomes in `batches` were recorded."""
    return [
        fact.recorded_at
        for batch in batches
        for _, fact in batch.facts
        if isinstance(fact, WindowRecorded) and fact.recorded_at is not None
    ]


def runs(records: Sequence[Record]) -> Iterator[list[Record]]:
    """`records` cut where offsets do not follow each other; a step back starts a new run too."""
    run: list[Record] = []
    for record in records:
        if run and record.offset != run[-1].offset + 1:
            yield run
            run = []
        run.append(record)
    if run:
        yield run
