"""The campaign's state machine, as a table: action → (statuses it starts from, status it leads to).

Whatever is not in the table is refused; a new command is a new line. Deleting leads nowhere: the
campaign is gone afterwards.
"""

from typing import Literal

from contracts.events.campaign import CampaignStatus

from campaign_service.domain.errors import InvalidTransition

Action = Literal["execute", "pause", "resume", "complete", "fail", "cancel", "retry"]

TRANSITIONS: dict[Action, tuple[frozenset[CampaignStatus], CampaignStatus]] = {
    "execute": (frozenset({"draft"}), "active"),
    "pause": (frozenset({"active"}), "paused"),
    "resume": (frozenset({"paused"}), "active"),
    "complete": (frozenset({"active"}), "completed"),
    "fail": (frozenset({"active", "paused"}), "paused"),
    "cancel": (frozenset({"draft", "active", "paused"}), "cancelled"),
    "retry": (frozenset({"completed"}), "active"),
}
FINAL: frozenset[CampaignStatus] = frozenset({"completed", "cancelled"})
"""Nothing but a retry leads away from these."""
DELETABLE: frozenset[CampaignStatus] = frozenset({"draft", "cancelled"})

COMMANDS: dict[tuple[CampaignStatus, CampaignStatus], Action] = {
    ("draft", "active"): "execute",
    ("paused", "active"): "resume",
    ("active", "paused"): "pause",
    ("draft", "cancelled"): "cancel",
    ("active", "cancelled"): "cancel",
    ("paused", "cancelled"): "cancel",
}
"""What a client asks for by setting `status`; executions alone complete a campaign."""


def next_status(status: CampaignStatus, action: Action) -> CampaignStatus:
    """The status after `action`. Raises InvalidTransition, naming from and to."""
    sources, target = TRANSITIONS[action]
    if status not in sources:
        raise InvalidTransition(status, target)
    return target


def command_for(status: CampaignStatus, wanted: CampaignStatus) -> Action:
    """The command that a client means by setting `wanted`. Raises InvalidTransition."""
    action = COMMANDS.get((status, wanted))
    if action is None:
        raise InvalidTransition(status, wanted)
    return action
