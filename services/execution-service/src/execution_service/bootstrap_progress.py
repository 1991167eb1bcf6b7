"""Puts together what the API process reads of executions. Nothing connects at import."""

from dataclasses import dataclass

from execution_service.adapters.mongo_executions import MongoExecutions
from execution_service.adapters.mongo_ledger import MongoLedger
from execution_service.adapters.mongo_ledger_pages import MongoLedgerPages
from execution_service.adapters.mongo_shards import MongoShards
from execution_service.application.find_execution import FindExecution
from execution_service.application.follow_progress import FollowProgress
from execution_service.application.list_executions import ListExecutions
from execution_service.application.retried_contacts import RetriedContacts
from execution_service.application.show_progress import ShowProgress
from execution_service.bootstrap import YOUNG_WAIT_SECONDS, Wiring

LOOK_SECONDS = 0.5
"""Between two events of a stream."""
QUIET_SECONDS = 15.0
"""A stream says something at least so often."""


@dataclass(frozen=True, slots=True)
class ProgressParts:
    """The use cases behind the routes about executions."""

    show: ShowProgress
    follow: FollowProgress
    list_executions: ListExecutions
    retried: RetriedContacts


def progress_parts(wiring: Wiring) -> ProgressParts:
    """The use cases for the API process; streams end when it stops."""
    executions, shards = MongoExecutions(wiring.database), MongoShards(wiring.database)
    find = FindExecution(executions, clock=wiring.clock, wait_seconds=YOUNG_WAIT_SECONDS)
    pages = MongoLedgerPages(wiring.database)
    show = ShowProgress(
        find=find,
        executions=executions,
        bots=wiring.bots,
        shards=shards,
        ledger=MongoLedger(wiring.database),
        pages=pages,
        settings=wiring.recent_settings,
        clock=wiring.clock,
    )
    follow = FollowProgress(show, seconds=LOOK_SECONDS, quiet_seconds=QUIET_SECONDS)
    wiring.at_stop.append(follow.close)
    return ProgressParts(
        show,
        follow,
        ListExecutions(find=find, executions=executions, shards=shards),
        RetriedContacts(executions=executions, shards=shards, pages=pages),
    )
