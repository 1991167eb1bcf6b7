"""What subscribers may read about each event type: what it means, the JSON Schema of its body, an example.

Schemas are made from the contract's models as `event_body` uses them: without what is ours alone, and with a
field that is not known left out instead of null. They say what is there, not that nothing else is: a
subscriber must ignore fields that it does not know.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from contracts.events.campaign import NOT_PUBLIC, CampaignEvent

from webhook_service.application.event_types import CAMPAIGN_EVENTS, EVENT_TYPES, TEST_EVENT

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MEANINGS = {
    "campaign.created": "A campaign exists, as a draft.",
    "campaign.updated": "A campaign's definition has changed; `changed` names the fields.",
    "campaign.scheduled": "An execution waits for `scheduledAt`; then `campaign.started` follows.",
    "campaign.started": "An execution has begun: messages go out from now on.",
    "campaign.paused": "The execution is held; `reason` says why when nobody asked for it.",
    "campaign.resumed": "The execution goes on with the contacts that are still to be reached.",
    "campaign.completed": "An execution has attempted everybody it was meant for; `totals` counts contacts.",
    "campaign.failed": "An execution stopped as a whole and the campaign is paused; `failure` says why.",
    "campaign.cancelled": "The campaign is over: nobody else is sent to.",
    "campaign.deleted": "The campaign's definition is erased.",
    TEST_EVENT: "Sent by `POST /webhooks/:id/test`, whatever is subscribed to. Nothing has happened.",
}
_TIME = {"type": "string", "format": "date-time"}
_AT = "2024-06-01T00:00:00Z"
_CAMPAIGN = {
    "campaignId": "camp_01J9ZJZ5N3G1H7D9K2M4P6R8T0",
    "name": "Summer Sale Campaign",
    "type": "message",
}
_RUN = {"executionId": "exec_01J9ZK3V7Q4T5N8M2X6C0B1D9F", "testMode": False}
_TOTALS = {"targeted": 1000, "successful": 950, "failed": 30, "skipped": 20, "unknown": 0}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "campaign.created": {"status": "draft", "testMode": False, "sequence": 1},
    "campaign.updated": {"status": "draft", "testMode": False, "changed": ["name"], "sequence": 2},
    "campaign.scheduled": {"status": "active", **_RUN, "scheduledAt": "2024-06-02T08:00:00Z", "sequence": 3},
    "campaign.started": {"status": "active", **_RUN, "startedAt": _AT, "sequence": 3},
    "campaign.paused": {
        "status": "paused", **_RUN, "sequence": 4, "pausedAt": _AT,
        "reason": {"code": "GUARD_BLOCKED", "message": "4 of the last 50 answers say that it is blocked"},
    },
    "campaign.resumed": {"status": "active", **_RUN, "resumedAt": _AT, "sequence": 5},
    "campaign.completed": {
        "status": "completed", **_RUN, "sequence": 6, "completedAt": _AT, "totals": _TOTALS,
    },
    "campaign.failed": {
        "status": "paused", **_RUN, "sequence": 6, "failedAt": _AT, "totals": _TOTALS,
        "failure": {"code": "BOT_UNAUTHORIZED", "message": "Telegram rejects the bot's token"},
    },
    "campaign.cancelled": {"status": "cancelled", **_RUN, "cancelledAt": _AT, "sequence": 6},
    "campaign.deleted": {"status": "draft", "testMode": False, "deletedAt": _AT, "sequence": 7},
}  # fmt: skip
_TEST_DATA = {
    "webhookId": "wh_01J9ZK3V7Q4T5N8M2X6C0B1D9F",
    "message": "This is a test: nothing has happened.",
}


@dataclass(frozen=True, slots=True)
class EventTypeInfo:
    """An event type. `schema` and `example` are of the whole body; a test event cannot be subscribed to."""

    type: str
    description: str
    subscribable: bool
    schema: dict[str, Any]
    example: dict[str, Any]


@lru_cache(maxsize=1)
def event_catalogue() -> tuple[EventTypeInfo, ...]:
    """Every type, those that may be subscribed to first, each part by name."""
    campaign = [
        _info(name, True, _campaign_data(CAMPAIGN_EVENTS[name]), {**_CAMPAIGN, **_EXAMPLES[name]})
        for name in EVENT_TYPES
    ]
    text = {"type": "string"}
    fields = {"webhookId": text, "message": text}
    test = {"type": "object", "properties": fields, "required": sorted(fields)}
    return (*campaign, _info(TEST_EVENT, False, test, _TEST_DATA))


def _info(name: str, subscribable: bool, data: dict[str, Any], example: dict[str, Any]) -> EventTypeInfo:
    definitions = data.pop("$defs", None)
    schema = {
        "$schema": _DIALECT,
        "title": name,
        "description": _MEANINGS[name],
        "type": "object",
        "properties": {"type": {"const": name}, "timestamp": _TIME, "data": data},
        "required": ["data", "timestamp", "type"],
        **({"$defs": definitions} if definitions else {}),
    }
    body = {"type": name, "timestamp": _AT, "data": example}
    return EventTypeInfo(name, _MEANINGS[name], subscribable, schema, body)


def _campaign_data(model: type[CampaignEvent]) -> dict[str, Any]:
    """The schema of `data` as subscribers get it; what is never null there may be left out."""
    whole = _untitled(model.model_json_schema(by_alias=True))
    fields = {name: field for name, field in whole["properties"].items() if name not in NOT_PUBLIC}
    may_be_missing = {
        name for name, field in fields.items() if "default" in field and field["default"] is None
    }
    properties = {name: _never_null(field) for name, field in fields.items()}
    data = {
        "type": "object",
        "properties": {**properties, "sequence": {"type": "integer", "minimum": 0}},
        "required": sorted((fields.keys() - may_be_missing) | {"sequence"}),
    }
    used = _definitions_used(properties, whole.get("$defs", {}))
    return {**data, "$defs": used} if used else data


def _untitled(part: Any) -> Any:
    """Without the titles that are made from the names of attributes and tell nothing."""
    if isinstance(part, list):
        return [_untitled(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        name: _untitled(item) for name, item in part.items() if name != "title" or not isinstance(item, str)
    }


def _never_null(field: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in field.items() if key not in ("default", "anyOf")}
    options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        return {**rest, **options[0]}
    return {**rest, "anyOf": options} if options else rest


def _definitions_used(part: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Those of `definitions` that `part` refers to, and what they refer to themselves."""
    used: dict[str, Any] = {}
    waiting = [part]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            name = str(item.get("$ref", "")).removeprefix("#/$defs/")
            if name in definitions and name not in used:
                used[name] = definitions[name]
                waiting.append(definitions[name])
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return dict(sorted(used.items()))
