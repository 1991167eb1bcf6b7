"""Deliveries to and from their MongoDB documents."""

from bson.binary import Binary
from service_kit.mongo.client import Document

from webhook_service.domain.delivery import Attempt, Claim, Delivery, Status


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
        "claim": None,
        "epoch": 0,
        "responseBody": None,
        "createdAt": delivery.created_at,
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


def claim_from(row: Document) -> Claim:
    """The claim on the delivery in `row`."""
    return Claim(
        key=row["_id"],
        org=row["org"],
        endpoint_id=row["endpointId"],
        event_id=row["eventId"],
        event_type=row["type"],
        campaign_id=row["campaignId"],
        body=bytes(row["body"]),
        epoch=row["epoch"],
        attempts_made=len(row["attempts"]) - row.get("forgiven", 0),
        created_at=row["createdAt"],
    )
