"""/contacts, one by one."""

import sys
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from pydantic import ConfigDict, Field, JsonValue
from service_kit.api.app import Admin, Editor, Viewer
from service_kit.api.envelope import RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.types import ClientId, PathId, ReadOnly

from execution_service.application.erase_contact import erase_contact
from execution_service.application.get_contact import get_contact
from execution_service.application.list_contacts import ContactQuery
from execution_service.application.put_contact import put_contact
from execution_service.domain.contact import CONTACT_ID, MAX_ATTRIBUTES, Contact, Scalar, Unreachable
from execution_service.domain.contact_fields import INT64
from execution_service.domain.errors import ContactNotFound
from execution_service.domain.errors_engine import CursorInvalid
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.api.deleted import Deleted
from execution_service.entrypoints.api.paging import Limit
from execution_service.entrypoints.errors import answers

MAX_FLOAT = sys.float_info.max


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
    unreachable: Unreachable | None = Field(
        default=None,
        description="Set by deliveries. null: write to the contact again; what GET showed is ignored.",
    )
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
    unreachable: Unreachable | None
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
            unreachable=contact.unreachable,
            created_at=contact.created_at,
            updated_at=contact.updated_at,
        )


class ContactsOut(ResponseModel):
    """A page of contacts; `nextCursor` is null at the end."""

    contacts: list[ContactOut]
    next_cursor: str | None


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
            segments=audience.segments,
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

    @router.delete("/contacts/{contact_id}", operation_id="eraseContact", responses=answers(ContactNotFound))
    async def erase(contact_id: PathId, caller: Admin) -> Success[Deleted]:
        """Erase the person: what is left of them anywhere is the id, in numbers' ledgers."""
        await erase_contact(
            caller.org,
            contact_id,
            contacts=audience.contacts,
            outbox=audience.outbox,
            transactions=audience.transactions,
            clock=audience.clock,
        )
        return Success(data=Deleted(message="Contact erased successfully"))

    @router.get("/contacts", operation_id="listContacts", responses=answers(CursorInvalid))
    async def list_contacts(
        caller: Viewer,
        segment: Annotated[
            ClientId | None, Query(description="Only members of this segment, static or dynamic.")
        ] = None,
        opted_out: Annotated[
            bool | None, Query(alias="optedOut", description="Only those who have, or have not.")
        ] = None,
        tester: Annotated[bool | None, Query(description="Only testers, or only others.")] = None,
        limit: Limit = 20,
        cursor: Annotated[
            str | None, Query(min_length=1, max_length=64, description="`nextCursor` of the page before.")
        ] = None,
    ) -> Success[ContactsOut]:
        """The organisation's contacts, as they came. A page may have fewer than `limit`."""
        found = await audience.list_contacts.page(
            caller.org, ContactQuery(segment, tester, opted_out), cursor=cursor, limit=limit
        )
        contacts = [ContactOut.of(contact) for contact in found.contacts]
        return Success(data=ContactsOut(contacts=contacts, next_cursor=found.next_cursor))

    return router
