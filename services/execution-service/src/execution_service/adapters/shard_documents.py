"""A shard's state as a part of its document: see `mongo_shards`."""

from dataclasses import replace

from service_kit.mongo.client import Document

from execution_service.adapters.ledger_packing import pack_positions, unpack_positions
from execution_service.domain.holding import Held
from execution_service.domain.holding import held as held_of
from execution_service.domain.outcomes import Candidate
from execution_service.domain.spending import Account
from execution_service.domain.window import ShardState, Waiting


def changing(state: ShardState) -> Document:
    """What windows change."""
    return {
        "step": state.step,
        "queue": None if state.queue is None else pack_positions(state.queue),
        "next": state.next,
        "window": state.window,
        "retry": [
            [who.position, who.tries, who.waits, item.due, who.unanswered, item.for_hours]
            for item in state.retry
            for who in [item.candidate]
        ],
        "held": held_document(held_of(state)),
        "passed": pack_positions(state.passed),
        "counts": dict(state.counts),
        "errors": dict(state.errors),
        "spent": state.account.spent,
        "reserved": state.account.reserved,
        "told": state.account.told,
    }


def state_of(row: Document) -> ShardState:
    """The state in the document."""
    queue = row["queue"]
    state = ShardState(
        size=row["size"],
        steps=row["steps"],
        step=row["step"],
        queue=None if queue is None else tuple(unpack_positions(queue)),
        next=row["next"],
        window=row["window"],
        retry=tuple(
            Waiting(Candidate(position, tries, waits, *flags[:1]), due, *flags[1:])
            for position, tries, waits, due, *flags in row["retry"]
        ),
        passed=tuple(unpack_positions(row["passed"])),
        counts=row["counts"],
        errors=row["errors"],
        account=account_of(row),
        edition=(row.get("held") or {}).get("edition", 0),
    )
    return replace(state, done=row["state"] == "done")


def account_of(row: Document) -> Account:
    """The account in the document."""
    return Account(row.get("spent", 0), row.get("reserved", 0), row.get("told"))


def held_document(held: Held | None) -> Document | None:
    """How it waits for hours, as it is stored."""
    if held is None:
        return None
    return {"count": held.count, "until": held.until, "edition": held.edition}
