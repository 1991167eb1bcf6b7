"""Settings of organisations in MongoDB: {_id: org, costPerMessage, currency, frequencyCap, quietHours,
timezone, timezoneMode, guardRails, updatedAt, version}. Times of day are `HH:MM`.
"""

from datetime import time

from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports import Collision
from execution_service.domain.org_settings import FrequencyCap, GuardRails, OrgSettings, QuietHours


class MongoSettings:
    """Settings of all organisations in `database`."""

    def __init__(self, database: Database) -> None:
        self._settings = database["settings"]

    async def of(self, org: str, *, tx: Tx | None = None) -> OrgSettings:
        """What holds for `org`: the defaults when nothing was set."""
        found = await self._settings.find_one({"_id": org}, session=session_of(tx) if tx else None)
        return _settings(found) if found else OrgSettings(org)

    async def put(self, tx: Tx, settings: OrgSettings) -> None:
        """Store them in the place of the version before. Raises Collision when that is not there any more."""
        row, session = _document(settings), session_of(tx)
        if settings.version == 1:
            try:
                await self._settings.insert_one(row, session=session)
            except DuplicateKeyError as error:
                raise Collision from error
            return
        before = {"_id": settings.org, "version": settings.version - 1}
        if not (await self._settings.replace_one(before, row, session=session)).matched_count:
            raise Collision


def _document(settings: OrgSettings) -> Document:
    cap, quiet, rails = settings.frequency_cap, settings.quiet_hours, settings.guard_rails
    return {
        "_id": settings.org,
        "costPerMessage": settings.cost_per_message,
        "currency": settings.currency,
        "frequencyCap": cap and {"messages": cap.messages, "hours": cap.hours},
        "quietHours": quiet and {"from": f"{quiet.from_:%H:%M}", "to": f"{quiet.to:%H:%M}"},
        "timezone": settings.timezone,
        "timezoneMode": settings.timezone_mode,
        "guardRails": {
            "blockedPercent": rails.blocked_percent,
            "blockedOf": rails.blocked_of,
            "equalErrors": rails.equal_errors,
        },
        "updatedAt": settings.updated_at,
        "version": settings.version,
    }


def _settings(row: Document) -> OrgSettings:
    cap, quiet, rails = row["frequencyCap"], row["quietHours"], row["guardRails"]
    return OrgSettings(
        org=row["_id"],
        cost_per_message=row["costPerMessage"],
        currency=row["currency"],
        frequency_cap=cap and FrequencyCap(cap["messages"], cap["hours"]),
        quiet_hours=quiet and QuietHours(time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["to"])),
        timezone=row["timezone"],
        timezone_mode=row["timezoneMode"],
        guard_rails=GuardRails(rails["blockedPercent"], rails["blockedOf"], rails["equalErrors"]),
        updated_at=row["updatedAt"],
        version=row["version"],
    )
