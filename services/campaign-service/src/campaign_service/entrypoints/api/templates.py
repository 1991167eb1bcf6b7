"""The template routes."""

from dataclasses import replace

from contracts.events.campaign import ParseMode
from fastapi import APIRouter, Response
from pydantic import Field
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.etags import IfMatch, etag
from service_kit.api.idempotency import Answer, Once
from service_kit.api.merge_patch import MergePatch, patch_schema
from service_kit.api.types import Name, PathId, ReadOnly

from campaign_service.application.change_template import delete_template, get_template, update_template
from campaign_service.application.create_template import create_template
from campaign_service.domain.errors import PreconditionFailed, TemplateNotFound, VersionConflict
from campaign_service.domain.template import Template
from campaign_service.entrypoints.api.campaign_answers import Deleted
from campaign_service.entrypoints.api.dependencies import PageLimit, PageNumber, Parts
from campaign_service.entrypoints.api.message_answers import ButtonOut, MediaOut
from campaign_service.entrypoints.api.message_requests import ButtonRows, MediaIn, buttons_of, media_of
from campaign_service.entrypoints.api.values import Content
from campaign_service.entrypoints.errors import answers

router = APIRouter(prefix="/templates", tags=["templates"])


class TemplateIn(RequestModel):
    """A template. Placeholders: `{{firstName}}`, `{{firstName|there}}` with a default.

    With `media` the content is a caption: at most 1,024 characters once its placeholders are filled.
    """

    name: Name
    content: Content
    parse_mode: ParseMode = "none"
    media: MediaIn | None = None
    buttons: ButtonRows = Field(default_factory=list)

    id: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None


class TemplatePatch(MergePatch):
    """What shall change of a template."""

    __get_pydantic_json_schema__ = classmethod(patch_schema(TemplateIn))


class TemplateOut(ResponseModel):
    """A template."""

    id: str
    name: str
    content: str
    parse_mode: ParseMode
    media: MediaOut | None
    buttons: list[list[ButtonOut]]
    created_at: UtcTime
    updated_at: UtcTime


class TemplateList(ResponseModel):
    """A page of templates."""

    templates: list[TemplateOut]
    pagination: Pagination


@router.post(
    "",
    status_code=201,
    operation_id="createTemplate",
    response_model=Success[TemplateOut],
    responses=answers(headers=["ETag"]),
)
async def post_template(body: TemplateIn, caller: Editor, parts: Parts, once: Once) -> Response:
    """Create a template."""
    return await once(
        lambda transactions: create_template(
            org=caller.org,
            name=body.name,
            content=body.content,
            parse_mode=body.parse_mode,
            media=media_of(body.media),
            buttons=buttons_of(body.buttons),
            templates=parts.templates,
            transactions=transactions,
            clock=parts.clock,
        ),
        answer=lambda template: Answer(
            201, Success(data=_shown(template)), headers={"ETag": etag(template.version)}
        ),
    )


@router.get("", operation_id="listTemplates")
async def get_templates(
    caller: Viewer, parts: Parts, page: PageNumber = 1, limit: PageLimit = 20
) -> Success[TemplateList]:
    """A page of templates, the newest first."""
    found = await parts.templates.page(caller.org, page=page, limit=limit)
    return Success(
        data=TemplateList(
            templates=[_shown(template) for template in found.items],
            pagination=Pagination.of(page=page, limit=limit, total=found.total),
        )
    )


@router.get(
    "/{template_id}", operation_id="getTemplate", responses=answers(TemplateNotFound, headers=["ETag"])
)
async def get_one(
    template_id: PathId, caller: Viewer, parts: Parts, response: Response
) -> Success[TemplateOut]:
    """A template. The `ETag` is its version."""
    template = await get_template(caller.org, template_id, templates=parts.templates)
    response.headers["ETag"] = etag(template.version)
    return Success(data=_shown(template))


@router.put(
    "/{template_id}",
    operation_id="updateTemplate",
    responses=answers(TemplateNotFound, VersionConflict, PreconditionFailed, headers=["ETag"]),
)
async def put_template(
    template_id: PathId,
    patch: TemplatePatch,
    caller: Editor,
    parts: Parts,
    if_match: IfMatch,
    response: Response,
) -> Success[TemplateOut]:
    """Change a template (JSON Merge Patch). Executions that have begun keep their text."""

    def revise(stored: Template) -> Template:
        before = _shown(stored).model_dump(by_alias=True, exclude={"id", "created_at", "updated_at"})
        body = patch.over(before, TemplateIn)
        return replace(
            stored,
            name=body.name,
            content=body.content,
            parse_mode=body.parse_mode,
            media=media_of(body.media),
            buttons=buttons_of(body.buttons),
        )

    template = await update_template(
        caller.org, template_id, revise, versions=if_match, templates=parts.templates, clock=parts.clock
    )
    response.headers["ETag"] = etag(template.version)
    return Success(data=_shown(template))


@router.delete(
    "/{template_id}",
    operation_id="deleteTemplate",
    responses=answers(TemplateNotFound, VersionConflict, PreconditionFailed),
)
async def delete_one(
    template_id: PathId, caller: Editor, parts: Parts, if_match: IfMatch
) -> Success[Deleted]:
    """Delete a template. Campaigns that name it cannot be executed any more."""
    await delete_template(caller.org, template_id, versions=if_match, templates=parts.templates)
    return Success(data=Deleted(message="Template deleted successfully"))


def _shown(template: Template) -> TemplateOut:
    return TemplateOut.model_validate(template, from_attributes=True)
