"""Templates in MongoDB."""

import asyncio
from collections.abc import Collection, Mapping

from pymongo import ASCENDING, DESCENDING
from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from campaign_service.adapters.documents import template_document, template_of
from campaign_service.application.ports import Page
from campaign_service.domain.errors import VersionConflict
from campaign_service.domain.template import Template

COLLECTION = "templates"


class MongoTemplates:
    """The port `Templates` on one collection."""

    def __init__(self, database: Database) -> None:
        self._rows = database[COLLECTION]

    async def prepare(self) -> None:
        """Create the index by which an org's templates are listed."""
        await self._rows.create_index([("org", ASCENDING), ("createdAt", ASCENDING), ("_id", ASCENDING)])

    async def add(self, tx: Tx, template: Template) -> None:
        """Keep a new template."""
        await self._rows.insert_one(template_document(template), session=session_of(tx))

    async def save(self, template: Template, *, expected_version: int) -> None:
        """Keep a changed template. Raises VersionConflict."""
        result = await self._rows.replace_one(
            {"_id": template.id, "org": template.org, "version": expected_version},
            template_document(template),
        )
        if result.matched_count != 1:
            raise VersionConflict

    async def remove(self, org: str, template_id: str, *, expected_version: int) -> None:
        """Erase a template. Raises VersionConflict."""
        result = await self._rows.delete_one({"_id": template_id, "org": org, "version": expected_version})
        if result.deleted_count != 1:
            raise VersionConflict

    async def get(self, org: str, template_id: str) -> Template | None:
        """The template; None when the org has none such."""
        found = await self._rows.find_one({"_id": template_id, "org": org})
        return None if found is None else template_of(found)

    async def get_many(self, org: str, template_ids: Collection[str]) -> Mapping[str, Template]:
        """Those of `template_ids` that exist, by id."""
        found = await self._rows.find({"_id": {"$in": sorted(template_ids)}, "org": org}).to_list(None)
        return {document["_id"]: template_of(document) for document in found}

    async def page(self, org: str, *, page: int, limit: int) -> Page[Template]:
        """A page of templates, the newest first."""
        cursor = (
            self._rows.find({"org": org})
            .sort([("createdAt", DESCENDING), ("_id", DESCENDING)])
            .skip((page - 1) * limit)
            .limit(limit)
        )
        found, total = await asyncio.gather(cursor.to_list(limit), self._rows.count_documents({"org": org}))
        return Page([template_of(document) for document in found], total)
