"""Deliveries to and from their MongoDB documents."""

from collections.abc import Sequence
from datetime import datetime

from bson.binary import Binary
from service_kit.mongo.client import Document

from webhook_service.domain.delivery import Attempt, Blocker, Claim, Delivery, Due, Outcome, Status


def row_from(delivery: Delivery) -> Document:
    """The document of a new delivery."""
    return {
        "_id": delivery.key,
        "id": delivery.id,
        "org": delivery.org,
        "endpointId": delivery.endpoint_id,
        "eventId": delivery.event_id,
        "type": delivery.event_type,
        "campaignId": delivery.campaign_id,
        "sequence": delivery.sequence,
        "body": Binary(delivery.body),
        "status": delivery.status.value,
        "attempts": [],
        "forgiven": 0,
        "nextAttemptAt": delivery.next_attempt_at,
        "dueAt": delivery.next_attempt_at,
        "lapsesAt": None,
        "claim": None,
        "epoch": 0,
        "responseBody": None,
        "createdAt": delivery.created_at,
        "endedAt": None if delivery.status is Status.PENDING else delivery.created_at,
    }


def delivery_from(row: Document) -> Delivery:
    """The delivery in `row`."""
    return Delivery(
        id=row["id"],
        org=row["org"],
        endpoint_id=row["endpointId"],
        event_id=row["eventId"],
        event_type=row["type"],
        campaign_id=row["campaignId"],
        sequence=row["sequence"],
        body=bytes(row["body"]),
        status=Status(row["status"]),
        attempts=tuple(
            Attempt(item["at"], item["statusCode"], item["durationMs"], item["error"])
            for item in row["attempts"]
        ),
        next_attempt_at=row["nextAttemptAt"],
        response_body=row["responseBody"],
        created_at=row["createdAt"],
    )


CLAIM_FIELDS = {
    "org": 1, "endpointId": 1, "eventId": 1, "type": 1, "campaignId": 1, "sequence": 1, "body": 1, "epoch": 1,
    "claim": 1, "dueAt": 1, "attempts.at": 1, "forgiven": 1, "lapsesAt": 1, "createdAt": 1,
}  # fmt: skip


def due_from(row: Document) -> Due:
    """Where the delivery in `row` queues."""
    return Due(row["_id"], row["endpointId"], row["campaignId"], row["sequence"])


def claim_from(row: Document) -> Claim:
    """The claim on the delivery in `row`."""
    return Claim(
        key=row["_id"],
        org=row["org"],
        endpoint_id=row["endpointId"],
        event_id=row["eventId"],
        event_type=row["type"],
        campaign_id=row["campaignId"],
        sequence=row["sequence"],
        body=bytes(row["body"]),
        epoch=row["epoch"],
        token=row["claim"],
        until=row["dueAt"],
        attempts_made=len(row["attempts"]) - row.get("forgiven", 0),
        lapses_at=row.get("lapsesAt"),
        created_at=row["createdAt"],
    )


def blocker_from(row: Document, *, now: datetime) -> Blocker:
    """The blocker in `row`. A claim whose lease has ended is nobody's."""
    taken = row["claim"] is not None and row["dueAt"] > now
    return Blocker(row["_id"], row["sequence"], row["dueAt"], row.get("lapsesAt"), taken=taken)


def recording(outcomes: Sequence[Outcome]) -> list[Document]:
    """One update for many rows, each of which finds its own outcome in it.

    A pipeline, since a write of its own for each row costs the database several times as much.
    """
    keys = [item.claim.key for item in outcomes]
    own = {
        "$arrayElemAt": [{"$literal": [_told(item) for item in outcomes]}, {"$indexOfArray": [keys, "$_id"]}]
    }
    return [
        {"$set": {"told": own}},
        {
            "$set": {
                "attempts": {"$concatArrays": ["$attempts", ["$told.attempt"]]},
                "status": "$told.status",
                "nextAttemptAt": "$told.nextAttemptAt",
                "dueAt": "$told.nextAttemptAt",
                "lapsesAt": "$told.lapsesAt",
                "responseBody": "$told.responseBody",
                "endedAt": "$told.endedAt",
                "claim": None,
                "epoch": {"$add": ["$epoch", 1]},
            }
        },
        {"$unset": "told"},
    ]


def _told(outcome: Outcome) -> Document:
    attempt = outcome.attempt
    return {
        "attempt": {
            "at": attempt.at,
            "statusCode": attempt.status_code,
            "durationMs": attempt.duration_ms,
            "error": attempt.error,
            "epoch": outcome.claim.epoch,
        },
        "status": outcome.status.value,
        "nextAttemptAt": outcome.next_attempt_at,
        "lapsesAt": outcome.lapses_at,
        "responseBody": outcome.response_body,
        "endedAt": None if outcome.status is Status.PENDING else attempt.at,
    }
