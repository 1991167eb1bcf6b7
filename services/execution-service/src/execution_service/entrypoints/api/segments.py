"""/segments: static ones, which contacts name, and dynamic ones, which are filters."""

from fastapi import APIRouter, Response
from pydantic import JsonValue, model_validator
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import ClientId, Description, Name, PathId, ReadOnly
from service_kit.errors import Detail, FieldErrors

from execution_service.application.change_segment import ChangeSegment, change_segment, delete_segment
from execution_service.application.segments import CreateSegment, create_segment, get_segment
from execution_service.domain.errors import SegmentExists, SegmentInUse, SegmentNotFound
from execution_service.domain.segment import Segment
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.api.deleted import Deleted
from execution_service.entrypoints.api.filters import Filters, plain
from execution_service.entrypoints.api.paging import Limit, Page
from execution_service.entrypoints.errors import answers


class SegmentIn(RequestModel):
    """A new segment; without an id it gets one."""

    id: ClientId | None = None
    name: Name
    description: Description = ""
    filters: Filters | None = None


class SegmentPatch(RequestModel):
    """A JSON Merge Patch: what is left out stays. New filters take the place of the old ones, all of them."""

    name: Name | None = None
    description: Description | None = None
    filters: Filters | None = None
    id: ReadOnly = None
    count: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None

    @model_validator(mode="after")
    def _the_name_stays(self) -> "SegmentPatch":
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("name cannot be emptied")
        return self


class SegmentOut(ResponseModel):
    """A segment, as lists show it."""

    id: str
    name: str
    description: str
    filters: dict[str, JsonValue] | None
    created_at: UtcTime
    updated_at: UtcTime


class SegmentDetail(SegmentOut):
    """A segment with the number of its contacts."""

    count: int


class SegmentPage(ResponseModel):
    """A page of segments, newest first."""

    segments: list[SegmentOut]
    pagination: Pagination


def segments_router(audience: Audience) -> APIRouter:
    """The routes over `audience`."""
    router = APIRouter(tags=["segments"])

    @router.post(
        "/segments",
        status_code=201,
        operation_id="createSegment",
        response_model=Success[SegmentDetail],
        responses=answers(SegmentExists),
    )
    async def create(body: SegmentIn, caller: Editor, once: Once) -> Response:
        """Make a segment: a filter, or without `filters` one of the contacts that name it, also before it."""
        filters = None if body.filters is None else plain(body.filters)
        command = CreateSegment(caller.org, body.id, body.name, body.description, filters)
        return await once(
            lambda transactions: create_segment(
                command,
                segments=audience.segments,
                measure=audience.measure,
                outbox=audience.outbox,
                marks=audience.marks,
                transactions=transactions,
                clock=audience.clock,
            ),
            answer=lambda made: Answer(201, Success(data=_detail(*made))),
        )

    @router.get("/segments", operation_id="listSegments")
    async def list_segments(caller: Viewer, page: Page = 1, limit: Limit = 20) -> Success[SegmentPage]:
        """The organisation's segments."""
        rows, total = await audience.segments.page(caller.org, skip=(page - 1) * limit, limit=limit)
        return Success(
            data=SegmentPage(
                segments=[_shown(row) for row in rows],
                pagination=Pagination.of(page=page, limit=limit, total=total),
            )
        )

    @router.get("/segments/{segment_id}", operation_id="getSegment", responses=answers(SegmentNotFound))
    async def get(segment_id: PathId, caller: Viewer) -> Success[SegmentDetail]:
        """One segment, counted now."""
        segment, count = await get_segment(
            caller.org, segment_id, segments=audience.segments, measure=audience.measure
        )
        return Success(data=_detail(segment, count))

    _changing(router, audience)
    return router


def _changing(router: APIRouter, audience: Audience) -> None:
    """The routes that change a segment that is there."""
    rule = "this segment is a list of members and stays one; make another segment"
    stays = FieldErrors(f"filters: {rule}", details=[Detail("filters", rule)])

    @router.put(
        "/segments/{segment_id}", operation_id="updateSegment", responses=answers(SegmentNotFound, stays)
    )
    async def put(segment_id: PathId, body: SegmentPatch, caller: Editor) -> Success[SegmentOut]:
        """Change a segment. A list of members never becomes a filter, nor the other way round."""
        given = body.model_fields_set
        command = ChangeSegment(
            org=caller.org,
            segment_id=segment_id,
            name=body.name,
            description=(body.description or "") if "description" in given else None,
            filters=None if body.filters is None else plain(body.filters),
            filters_given="filters" in given,
        )
        after = await change_segment(
            command,
            segments=audience.segments,
            outbox=audience.outbox,
            marks=audience.marks,
            transactions=audience.transactions,
            clock=audience.clock,
        )
        return Success(data=_shown(after))

    @router.delete(
        "/segments/{segment_id}",
        operation_id="deleteSegment",
        responses=answers(SegmentNotFound, SegmentInUse),
    )
    async def delete(segment_id: PathId, caller: Editor) -> Success[Deleted]:
        """Forget a segment that no open campaign names. Contacts keep its id: one made again has them."""
        await delete_segment(
            caller.org,
            segment_id,
            segments=audience.segments,
            use=audience.segment_use,
            outbox=audience.outbox,
            transactions=audience.transactions,
            clock=audience.clock,
        )
        return Success(data=Deleted(message="Segment deleted successfully"))


def _shown(segment: Segment) -> SegmentOut:
    return SegmentOut(
        id=segment.segment_id,
        name=segment.name,
        description=segment.description,
        filters=segment.filters and dict(segment.filters),
        created_at=segment.created_at,
        updated_at=segment.updated_at,
    )


def _detail(segment: Segment, count: int) -> SegmentDetail:
    return SegmentDetail(count=count, **_shown(segment).model_dump())
