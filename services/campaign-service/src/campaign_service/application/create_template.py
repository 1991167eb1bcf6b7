"""Create a template."""

from contracts.events.campaign import ParseMode
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from campaign_service.application.ports import Templates
from campaign_service.domain.definition import Buttons, Media
from campaign_service.domain.template import Template


async def create_template(
    *,
    org: str,
    name: str,
    content: str,
    parse_mode: ParseMode,
    media: Media | None,
    buttons: Buttons,
    templates: Templates,
    transactions: Transactions,
    clock: Clock,
) -> Template:
    """The new template."""
    now = clock.now()
    template = Template(
        id=new_id("tmpl"),
        org=org,
        name=name,
        content=content,
        parse_mode=parse_mode,
        created_at=now,
        updated_at=now,
        media=media,
        buttons=buttons,
    )

    async def work(tx: Tx) -> Template:
        await templates.add(tx, template)
        return template

    return await transactions.run(work)
