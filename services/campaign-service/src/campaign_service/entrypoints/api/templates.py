"""The template routes."""

from typing import Any

from contracts.events.campaign import ParseMode
from fastapi import APIRouter
from pydantic import Field
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.types import Name

from campaign_service.application.create_template import create_template
from campaign_service.domain.errors import TemplateNotFound
from campaign_service.domain.template import Template
from campaign_service.entrypoints.api.dependencies import PageLimit, PageNumber, Parts
from campaign_service.entrypoints.api.values import Content

router = APIRouter(prefix="/templates", tags=["templates"])


class TemplateIn(RequestModel):
    """A template. Placeholders: `{{firstName}}`, `{{firstName|there}}` with a default."""

    name: Name
    content: Content
    parse_mode: ParseMode = "none"

    id: Any = Field(default=None, description="Read-only; ignored.")
    created_at: Any = Field(default=None, description="Read-only; ignored.")
    updated_at: Any = Field(default=None, description="Read-only; ignored.")


class TemplateOut(ResponseModel):
    """A template."""

    id: str
    name: str
    content: str
    parse_mode: ParseMode
    created_at: UtcTime
    updated_at: UtcTime


class TemplateList(ResponseModel):
    """A page of templates."""

    templates: list[TemplateOut]
    pagination: Pagination


@router.post("", status_code=201)
async def post_template(body: TemplateIn, caller: Editor, parts: Parts) -> Success[TemplateOut]:
    """Create a template."""
    template = await create_template(
        org=caller.org,
        name=body.name,
        content=body.content,
        parse_mode=body.parse_mode,
        templates=parts.templates,
        clock=parts.clock,
    )
    return Success(data=_shown(template))


@router.get("")
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


@router.get("/{template_id}")
async def get_template(template_id: str, caller: Viewer, parts: Parts) -> Success[TemplateOut]:
    """A template."""
    template = await parts.templates.get(caller.org, template_id)
    if template is None:
        raise TemplateNotFound
    return Success(data=_shown(template))


def _shown(template: Template) -> TemplateOut:
    return TemplateOut.model_validate(template, from_attributes=True)
