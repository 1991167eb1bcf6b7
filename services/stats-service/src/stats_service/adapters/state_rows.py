"""What has been counted, as rows of a book: which facts.

    shards      {_id: <book>/<execution>/<shard>, windows [[first, last]…], completed, at}
    executions  {_id: <book>/<execution>, planned, end {completed, at (ms), failed} | null, at}

Rows are forgotten some time after `at`, their last change.
Only an execution that failed is kept (`at` is null): it may be mended at any time, and what it counted is
taken back then.
"""

from datetime import datetime
from typing import Final
from urllib.parse import quote

from pymongo import UpdateOne
from service_kit.mongo.client import Document

from stats_service.domain.facts import End
from stats_service.domain.states import ExecutionState, ShardState

SHARDS: Final = "shards"
EXECUTIONS: Final = "executions"


def shard_key(book: str, execution: str, shard: int) -> str:
    """Of a shard in a book."""
    return f"{book}/{quote(execution, safe='')}/{shard}"


def execution_key(book: str, execution: str) -> str:
    """Of an execution in a book."""
    return f"{book}/{quote(execution, safe='')}"


def shard_in(row: Document) -> ShardState:
    """The state in a row of `shards`."""
    return ShardState(tuple((first, last) for first, last in row["windows"]), row["completed"])


def set_shard(key: str, state: ShardState, now: datetime) -> UpdateOne:
    """The write that sets the state."""
    windows = [list(part) for part in state.windows]
    fields: Document = {"windows": windows, "completed": state.completed, "at": now}
    return UpdateOne({"_id": key}, {"$set": fields}, upsert=True)


def execution_in(row: Document) -> ExecutionState:
    """The state in a row of `executions`."""
    end = row["end"]
    return ExecutionState(row["planned"], end and End(end["completed"], end["at"], end["failed"]))


def set_execution(key: str, state: ExecutionState, now: datetime) -> UpdateOne:
    """The write that sets the state."""
    end = state.end
    fields: Document = {
        "planned": state.planned,
        "end": end and {"completed": end.completed, "at": end.at, "failed": end.failed},
        "at": now if end is None or end.completed else None,
    }
    return UpdateOne({"_id": key}, {"$set": fields}, upsert=True)
