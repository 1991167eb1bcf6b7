"""/contacts/import: contacts from a file, streamed, and how far it is."""

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal

from contracts.ids import new_id
from fastapi import APIRouter, HTTPException, Query, Request
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import ResponseModel, Success, UtcTime
from service_kit.api.types import ClientId, PathId
from starlette.requests import ClientDisconnect

from execution_service.application.import_contacts import ReadLines
from execution_service.application.ports_import import ImportRecord
from execution_service.domain.errors import ImportIdReused, ImportNotFound, ImportRunning
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.api.csv_contacts import CsvReader
from execution_service.entrypoints.api.lines import LineSplitter
from execution_service.entrypoints.api.ndjson import NdjsonReader
from execution_service.entrypoints.errors import answers

IMPORT_PATH = "/contacts/import"
HEAD_BYTES = 64 * 1024
"""How much of a file is looked at to tell it from another one under the same importId."""
READERS: dict[str, type[NdjsonReader] | type[CsvReader]] = {
    "application/x-ndjson": NdjsonReader,
    "application/ndjson": NdjsonReader,
    "application/jsonl": NdjsonReader,
    "text/csv": CsvReader,
}
ImportId = Annotated[
    ClientId | None,
    Query(
        alias="importId",
        description="An id of yours. The same file sent again under it goes on behind the last stored line; "
        "of a completed import it answers the result again.",
    ),
]


class ImportErrorOut(ResponseModel):
    """A line (counted from 1, the CSV header included) and what is wrong with it."""

    line: int
    message: str


class ImportOut(ResponseModel):
    """Lines that made a contact, changed or confirmed one, and were refused; `errors` tells the first 100.

    Everything up to `lines` is stored, `bytes` of the file were read. `interrupted`: send the file again.
    """

    import_id: str
    status: Literal["running", "completed", "interrupted"]
    lines: int
    bytes: int
    imported: int
    updated: int
    rejected: int
    errors: list[ImportErrorOut]
    started_at: UtcTime
    updated_at: UtcTime


def imports_router(audience: Audience) -> APIRouter:
    """The routes over `audience`."""
    router = APIRouter(tags=["contacts"])

    @router.post(
        IMPORT_PATH,
        operation_id="importContacts",
        openapi_extra=_IMPORT_BODY,
        responses=answers(ImportRunning, ImportIdReused),
    )
    async def upload(request: Request, caller: Editor, import_id: ImportId = None) -> Success[ImportOut]:
        """Take over contacts from NDJSON or CSV of any size, each line as a PUT; bad lines are told."""
        kind = _reader(request)
        use_case = audience.import_contacts
        try:
            stream = request.stream()
            head = await _head(stream)
            begun = await use_case.begin(
                caller.org,
                import_id or new_id("imp"),
                fingerprint=fingerprint_of(kind, head),
                owner=new_id("own"),
            )
            if begun.status == "completed":
                async for _ in stream:  # a client that is still sending could not read the answer
                    pass
                return Success(data=_shown(begun))
            record = await use_case.run(begun, _lines(head, stream, kind(after=begun.line)))
        except ClientDisconnect:
            raise HTTPException(400, "the upload broke off; whole batches before that are stored") from None
        return Success(data=_shown(record))

    @router.get("/contacts/imports/{import_id}", operation_id="getImport", responses=answers(ImportNotFound))
    async def get(import_id: PathId, caller: Viewer) -> Success[ImportOut]:
        """How far an import is, also while it runs; kept for 30 days."""
        found = await audience.imports.get(caller.org, import_id)
        if found is None:
            raise ImportNotFound
        return Success(data=_shown(found, now=audience.clock.now()))

    return router


_STREAM = {"type": "string", "format": "binary", "description": "Of any size; a line is at most 64 KiB."}
_NDJSON = """{"id": "ann", "telegramChatId": 42, "firstName": "Ann", "segments": ["seg123"]}
{"id": "bob", "telegramChatId": 43, "location": "US", "interests": ["shopping"]}
"""
_CSV = """id,telegramChatId,firstName,segments,attributes.tier
ann,42,Ann,seg123,gold
bob,43,Bob,seg123;seg456,
"""
_IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": _STREAM, "example": _NDJSON},
            "text/csv": {"schema": _STREAM, "example": _CSV},
        },
    }
}


def _reader(request: Request) -> type[NdjsonReader] | type[CsvReader]:
    """The reader for the request's media type, in UTF-8 and not compressed, else 415."""
    media, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    kind = READERS.get(media.strip())
    if kind is None:
        raise HTTPException(415, "send application/x-ndjson or text/csv")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise HTTPException(415, "send UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "send it uncompressed")
    return kind


def fingerprint_of(kind: type[NdjsonReader] | type[CsvReader], head: bytes) -> str:
    """What tells a file from another one, by its form and its beginning."""
    return hashlib.sha256(kind.__name__.encode() + head[:HEAD_BYTES]).hexdigest()


async def _head(stream: AsyncIterator[bytes]) -> bytes:
    """The beginning of the file, HEAD_BYTES of it and what came with them, or all that there is."""
    head = bytearray()
    async for chunk in stream:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return bytes(head)


async def _lines(
    head: bytes, rest: AsyncIterator[bytes], reader: NdjsonReader | CsvReader
) -> AsyncIterator[ReadLines]:
    splitter, size = LineSplitter(), len(head)
    yield reader.feed(splitter.feed(head)), size
    async for chunk in rest:
        size += len(chunk)
        yield reader.feed(splitter.feed(chunk)), size
    yield reader.feed(splitter.finish()), size
    yield reader.finish(), size


def _shown(record: ImportRecord, *, now: datetime | None = None) -> ImportOut:
    """`now`: one that says it is running, but whose time has run out by then, was interrupted."""
    lapsed = record.status == "running" and now is not None and record.expires_at <= now
    result = record.result
    return ImportOut(
        import_id=record.import_id,
        status="interrupted" if lapsed else record.status,
        lines=record.line,
        bytes=record.size,
        imported=result.imported,
        updated=result.updated,
        rejected=result.rejected,
        errors=[ImportErrorOut(line=line, message=message) for line, message in result.errors],
        started_at=record.started_at,
        updated_at=record.updated_at,
    )
