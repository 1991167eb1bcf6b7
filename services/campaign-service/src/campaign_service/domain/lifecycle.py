"""The campaign's state machine, as a table: action → (statuses it starts from, status it leads to).

Whatever is not in the table is refused; a new command is a new line.
"""

from typing import Literal

from contracts.events.campaign import CampaignStatus

from campaign_service.domain.errors import InvalidTransition

Action = Literal["execute", "complete", "fail"]

TRANSITIONS: dict[Action, tuple[frozenset[CampaignStatus], CampaignStatus]] = {
    "execute": (frozenset({"draft"}), "active"),
    "complete": (frozenset({"active"}), "completed"),
    "fail": (frozenset({"active"}), "paused"),
}
FINAL: frozenset[CampaignStatus] = frozenset({"completed", "cancelled"})


def next_status(status: CampaignStatus, action: Action) -> CampaignStatus:
    """The status after `action`. Raises InvalidTransition, naming from and to."""
    sources, target = TRANSITIONS[action]
    if status not in sources:
        raise InvalidTransition(status, target)
    return target
