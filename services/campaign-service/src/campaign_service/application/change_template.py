"""Change or delete a template. Executions that have begun keep the text that they were begun with."""

from collections.abc import Callable, Collection
from dataclasses import replace

from service_kit.clock import Clock

from campaign_service.application.change_campaign import ATTEMPTS
from campaign_service.application.ports import Templates
from campaign_service.domain.errors import PreconditionFailed, TemplateNotFound, VersionConflict
from campaign_service.domain.template import Template


async def get_template(org: str, template_id: str, *, templates: Templates) -> Template:
    """The template. Raises TemplateNotFound."""
    template = await templates.get(org, template_id)
    if template is None:
        raise TemplateNotFound
    return template


async def update_template(
    org: str,
    template_id: str,
    revise: Callable[[Template], Template],
    *,
    versions: Collection[int] | None,
    templates: Templates,
    clock: Clock,
) -> Template:
    """The template as `revise` makes it; unchanged when nothing differs. `versions`: None means any.

    Raises TemplateNotFound, PreconditionFailed, VersionConflict, and what `revise` raises.
    """
    for _ in range(ATTEMPTS):
        before = await _expected(org, template_id, versions, templates)
        revised = revise(before)
        if revised == before:
            return before
        after = replace(revised, version=before.version + 1, updated_at=clock.now())
        try:
            await templates.save(after, expected_version=before.version)
        except VersionConflict:
            continue
        return after
    raise VersionConflict


async def delete_template(
    org: str, template_id: str, *, versions: Collection[int] | None, templates: Templates
) -> None:
    """Erase it. Campaigns that name it cannot be executed any more.

    Raises TemplateNotFound, PreconditionFailed, VersionConflict.
    """
    for _ in range(ATTEMPTS):
        before = await _expected(org, template_id, versions, templates)
        try:
            return await templates.remove(org, template_id, expected_version=before.version)
        except VersionConflict:
            continue
    raise VersionConflict


async def _expected(
    org: str, template_id: str, versions: Collection[int] | None, templates: Templates
) -> Template:
    template = await get_template(org, template_id, templates=templates)
    if versions is not None and template.version not in versions:
        raise PreconditionFailed
    return template
