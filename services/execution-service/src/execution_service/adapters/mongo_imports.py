"""Imports in MongoDB: {_id: `<org>/<importId>`, org, importId, status, fingerprint, owner, expiresAt, line,
size, imported, updated, rejected, errors[] ([line, message]), startedAt, updatedAt}.

`owner` is a fence: every write after the first names it and the status `running`.
"""

from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, ExecutionTimeout
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports_import import ImportRecord, ImportResult
from execution_service.domain.errors import ImportIdReused, ImportRunning

KEEP_SECONDS = 30 * 24 * 3600


class MongoImports:
    """Imports of all organisations in `database`.

    `wait_seconds`: how long taking one over may wait for a transaction that a killed process left open.
    """

    def __init__(self, database: Database, *, wait_seconds: float) -> None:
        self._imports = database["imports"]
        self._wait_ms = max(1, round(wait_seconds * 1000))

    async def prepare(self) -> None:
        """Create the index that forgets old imports."""
        await self._imports.create_index("updatedAt", expireAfterSeconds=KEEP_SECONDS)

    async def begin(
        self, org: str, import_id: str, *, fingerprint: str, owner: str, now: datetime, until: datetime
    ) -> ImportRecord:
        """A new import or one to go on with; see the port. Raises ImportRunning, ImportIdReused."""
        record = ImportRecord(org, import_id, "running", owner, until, now, now)
        try:
            await self._imports.insert_one({**_document(record), "fingerprint": fingerprint})
            return record
        except DuplicateKeyError:
            found = await self._imports.find_one({"_id": _key(org, import_id)})
        if found is None:
            raise ImportRunning
        if found["fingerprint"] != fingerprint and (found["line"] or found["status"] == "completed"):
            raise ImportIdReused
        if found["status"] == "completed":
            return _record(found)
        return await self._take_over(found, fingerprint=fingerprint, owner=owner, now=now, until=until)

    async def _take_over(
        self, found: Document, *, fingerprint: str, owner: str, now: datetime, until: datetime
    ) -> ImportRecord:
        if found["status"] == "running" and found["expiresAt"] > now:
            raise ImportRunning
        as_read = {name: found[name] for name in ("_id", "owner", "status", "expiresAt", "line")}
        ours = {"status": "running", "owner": owner, "expiresAt": until, "fingerprint": fingerprint}
        try:
            taken = await self._imports.find_one_and_update(
                as_read, {"$set": ours}, return_document=ReturnDocument.AFTER, maxTimeMS=self._wait_ms
            )
        except ExecutionTimeout as error:  # the old owner's transaction is open and may yet commit
            raise ImportRunning from error
        if taken is None:
            raise ImportRunning
        return _record(taken)

    async def advance(self, tx: Tx, record: ImportRecord) -> None:
        """Store how far it is, in the batch's transaction. Raises ImportRunning."""
        values = _document(record)
        del values["_id"]
        await self._change(record, values, tx)

    async def renew(self, record: ImportRecord, *, until: datetime) -> None:
        """Hold on. Raises ImportRunning."""
        await self._change(record, {"expiresAt": until})

    async def close(self, record: ImportRecord) -> None:
        """Store the status that it ends with. Raises ImportRunning."""
        ended = {"status": record.status, "expiresAt": record.expires_at, "updatedAt": record.updated_at}
        await self._change(record, ended)

    async def get(self, org: str, import_id: str) -> ImportRecord | None:
        """One import."""
        found = await self._imports.find_one({"_id": _key(org, import_id)})
        return _record(found) if found else None

    async def _change(self, record: ImportRecord, values: dict[str, Any], tx: Tx | None = None) -> None:
        ours = {"_id": _key(record.org, record.import_id), "owner": record.owner, "status": "running"}
        session = session_of(tx) if tx else None
        answer = await self._imports.update_one(ours, {"$set": values}, session=session)
        if answer.matched_count != 1:
            raise ImportRunning


def _key(org: str, import_id: str) -> str:
    return f"{org}/{import_id}"


def _document(record: ImportRecord) -> Document:
    result = record.result
    return {
        "_id": _key(record.org, record.import_id),
        "org": record.org,
        "importId": record.import_id,
        "status": record.status,
        "owner": record.owner,
        "expiresAt": record.expires_at,
        "line": record.line,
        "size": record.size,
        "imported": result.imported,
        "updated": result.updated,
        "rejected": result.rejected,
        "errors": [[line, message] for line, message in result.errors],
        "startedAt": record.started_at,
        "updatedAt": record.updated_at,
    }


def _record(row: Document) -> ImportRecord:
    errors = [(line, message) for line, message in row["errors"]]
    return ImportRecord(
        org=row["org"],
        import_id=row["importId"],
        status=row["status"],
        owner=row["owner"],
        expires_at=row["expiresAt"],
        started_at=row["startedAt"],
        updated_at=row["updatedAt"],
        line=row["line"],
        size=row["size"],
        result=ImportResult(row["imported"], row["updated"], row["rejected"], errors),
    )
