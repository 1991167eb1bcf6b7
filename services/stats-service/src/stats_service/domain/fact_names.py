"""What facts are called: each counts once by its name, however often and in whatever order it is told."""

from typing import TypeAlias

from stats_service.domain.facts import (
    Clicked,
    Converted,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    WindowRecorded,
)

FactName: TypeAlias = tuple[object, ...]
"""Within a campaign."""


def window_name(execution: str, shard: int, window: int) -> FactName:
    """Of the outcomes of a window."""
    return "window", execution, shard, window


def completion_name(execution: str, shard: int) -> FactName:
    """Of a shard's being done."""
    return "completion", execution, shard


def planning_name(execution: str) -> FactName:
    """Of an execution's planning."""
    return "planning", execution


def end_name(execution: str, end: End) -> FactName:
    """Of one of an execution's ends."""
    return "end", execution, end


def deed_name(contact: bytes, reference: bytes) -> FactName:
    """Of a contact's click (by the event) or conversion (by its id)."""
    return "deed", contact, reference


def names_of(fact: Fact) -> set[FactName]:
    """None of what is not counted in a book."""
    if isinstance(fact, WindowRecorded):
        names = {window_name(fact.execution, fact.shard, fact.window)}
        return names | ({completion_name(fact.execution, fact.shard)} if fact.shard_completed else set())
    if isinstance(fact, ExecutionPlanned):
        return {planning_name(fact.execution)}
    if isinstance(fact, ExecutionEnded):
        return {end_name(fact.execution, fact.end)}
    if isinstance(fact, Clicked):
        return {deed_name(fact.contact, fact.event)}
    if isinstance(fact, Converted):
        return {deed_name(fact.contact, fact.conversion)}
    return set()
