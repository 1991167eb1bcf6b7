"""/contacts: one by one, and imported."""

import sys
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Path, Request
from pydantic import ConfigDict, Field, JsonValue
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.types import PathId, ReadOnly
from starlette.requests import ClientDisconnect

from execution_service.application.get_contact import get_contact
from execution_service.application.import_contacts import ImportLine, import_contacts
from execution_service.application.put_contact import put_contact
from execution_service.domain.contact import CONTACT_ID, MAX_ATTRIBUTES, Contact, Scalar
from execution_service.domain.contact_fields import INT64
from execution_service.domain.errors import ContactNotFound
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.api.csv_contacts import CsvReader
from execution_service.entrypoints.api.lines import LineSplitter
from execution_service.entrypoints.api.ndjson import NdjsonReader
from execution_service.entrypoints.errors import answers

IMPORT_PATH = "/contacts/import"
MAX_FLOAT = sys.float_info.max
READERS: dict[str, type[NdjsonReader] | type[CsvReader]] = {
    "application/x-ndjson": NdjsonReader,
    "application/ndjson": NdjsonReader,
    "application/jsonl": NdjsonReader,
    "text/csv": CsvReader,
}


def _shown(*examples: JsonValue, description: str | None = None, **limits: JsonValue) -> Any:
    """A field whose limits are told here and kept by `domain.contact_fields`, as in an import."""
    return Field(
        default=None, description=description, examples=list(examples) or None, json_schema_extra=limits
    )


ContactId = Annotated[
    str,
    Path(
        description="The id that you give the contact.",
        json_schema_extra={"minLength": 1, "maxLength": 128, "pattern": f"^{CONTACT_ID.pattern}$"},
    ),
]
_Interest = Annotated[str, Field(json_schema_extra={"maxLength": 100})]
_SegmentId = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": 128})]
_Attribute = (
    bool
    | Annotated[int, Field(json_schema_extra={"minimum": -INT64, "exclusiveMaximum": INT64})]
    | Annotated[float, Field(json_schema_extra={"minimum": -MAX_FLOAT, "maximum": MAX_FLOAT})]
    | Annotated[str, Field(json_schema_extra={"maxLength": 1000})]
    | None
)


class ContactPatch(RequestModel):
    """A JSON Merge Patch: what is left out stays, null empties. A new contact needs `telegramChatId`."""

    model_config = ConfigDict(strict=True)

    telegram_chat_id: int | None = _shown(
        412345678, description="Not 0.", minimum=-INT64, exclusiveMaximum=INT64
    )
    first_name: str | None = _shown(maxLength=256)
    last_name: str | None = _shown(maxLength=256)
    username: str | None = _shown(maxLength=64)
    language: str | None = _shown("pt-BR", description="A language tag.", maxLength=40)
    timezone: str | None = _shown("Europe/Berlin", description="IANA.", maxLength=64)
    location: str | None = _shown("US", description="ISO 3166-1 alpha-2.", minLength=2, maxLength=2)
    age: int | None = _shown(minimum=0, maximum=150)
    interests: list[_Interest] | None = _shown(maxItems=100)
    purchase_history: bool | None = None
    last_purchase: str | None = _shown(maxLength=500)
    attributes: dict[str, _Attribute] | None = _shown(
        {"tier": "gold"}, description="Merged key by key; null removes one.", maxProperties=MAX_ATTRIBUTES
    )
    segments: list[_SegmentId] | None = _shown(maxItems=1000)
    tester: bool | None = None
    opted_out: bool | None = None
    id: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None


class ContactOut(ResponseModel):
    """A contact."""

    id: str
    telegram_chat_id: int
    first_name: str | None
    last_name: str | None
    username: str | None
    language: str | None
    timezone: str | None
    location: str | None
    age: int | None
    interests: list[str]
    purchase_history: bool | None
    last_purchase: str | None
    attributes: dict[str, Scalar]
    segments: list[str]
    tester: bool
    opted_out: bool
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, contact: Contact) -> "ContactOut":
        """The contact as the API shows it."""
        return cls(
            id=contact.contact_id,
            telegram_chat_id=contact.telegram_chat_id,
            first_name=contact.first_name,
            last_name=contact.last_name,
            username=contact.username,
            language=contact.language,
            timezone=contact.timezone,
            location=contact.location,
            age=contact.age,
            interests=list(contact.interests),
            purchase_history=contact.purchase_history,
            last_purchase=contact.last_purchase,
            attributes=dict(contact.attributes),
            segments=list(contact.segments),
            tester=contact.tester,
            opted_out=contact.opted_out,
            created_at=contact.created_at,
            updated_at=contact.updated_at,
        )


class ImportErrorOut(ResponseModel):
    """A refused line (counted from 1, the CSV header included) and why."""

    line: int
    message: str


class ImportOut(ResponseModel):
    """Lines that made a contact, changed or confirmed one, and were refused (the first 100 of them told)."""

    imported: int
    updated: int
    rejected: int
    errors: list[ImportErrorOut]


def contacts_router(audience: Audience) -> APIRouter:
    """The routes over `audience`."""
    router = APIRouter(tags=["contacts"])

    @router.put("/contacts/{contact_id}", operation_id="putContact")
    async def put(
        contact_id: ContactId, body: Annotated[ContactPatch, Body()], caller: Editor
    ) -> Success[ContactOut]:
        """Create the contact with this id, or change it."""
        contact = await put_contact(
            caller.org,
            contact_id,
            body.model_dump(by_alias=True, exclude_unset=True),
            contacts=audience.contacts,
            transactions=audience.transactions,
            clock=audience.clock,
        )
        return Success(data=ContactOut.of(contact))

    @router.get("/contacts/{contact_id}", operation_id="getContact", responses=answers(ContactNotFound))
    async def get(contact_id: PathId, caller: Viewer) -> Success[ContactOut]:
        """One contact."""
        return Success(
            data=ContactOut.of(await get_contact(caller.org, contact_id, contacts=audience.contacts))
        )

    @router.post(IMPORT_PATH, operation_id="importContacts", openapi_extra=_IMPORT_BODY)
    async def upload(request: Request, caller: Editor) -> Success[ImportOut]:
        """Take over contacts from NDJSON or CSV of any size, each line as a PUT; bad lines are told."""
        reader = _reader(request)
        try:
            result = await import_contacts(
                caller.org,
                _lines(request, reader),
                contacts=audience.contacts,
                transactions=audience.import_transactions,
                clock=audience.clock,
            )
        except ClientDisconnect:
            raise HTTPException(400, "the upload broke off; whole batches before that are stored") from None
        errors = [ImportErrorOut(line=line, message=message) for line, message in result.errors]
        return Success(
            data=ImportOut(
                imported=result.imported, updated=result.updated, rejected=result.rejected, errors=errors
            )
        )

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


def _reader(request: Request) -> NdjsonReader | CsvReader:
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
    return kind()


async def _lines(request: Request, reader: NdjsonReader | CsvReader) -> AsyncIterator[Sequence[ImportLine]]:
    splitter = LineSplitter()
    async for chunk in request.stream():
        yield reader.feed(splitter.feed(chunk))
    yield reader.feed(splitter.finish())
    yield reader.finish()
