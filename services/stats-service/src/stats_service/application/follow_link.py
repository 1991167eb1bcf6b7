"""Send on who follows a tracking link, and take note of it."""

import re
from typing import Protocol

from contracts.envelope import AnyEvent, new_event
from contracts.events.engagement import EngagementClicked
from contracts.tracking import BadToken, Tracked, TrackingKeys
from service_kit.clock import Clock
from service_kit.errors import DependencyDown

from stats_service.application.announce_statistics import SOURCE
from stats_service.application.ports import Links, Pause
from stats_service.domain.errors import LinkNotFound
from stats_service.domain.facts import FrozenLink

LOOKS = 11
LOOK_AGAIN_SECONDS = 0.1
_MACHINES = re.compile(
    r"(?<!cu)bot\b|crawl|spider|preview|facebookexternalhit|whatsapp|curl/|wget/", re.IGNORECASE
)
"""Those that look at a link for somebody, by what they call themselves."""


class Clicks(Protocol):
    """Takes note of clicks."""

    async def note(self, event: AnyEvent) -> None:
        """Keep the event; returns when it is stored, or soon when it has to wait. Never raises."""
        ...


async def follow_link(
    token: str,
    user_agent: str,
    *,
    keys: TrackingKeys,
    links: Links,
    clicks: Clicks,
    clock: Clock,
    pause: Pause,
) -> str:
    """The address that the link leads to. A machine is sent on too, but is nobody's click.

    Raises LinkNotFound for what is no token of ours. One of ours says that the link exists: it was sent in a
    message, perhaps before the execution was heard of here, so that is waited for. Raises DependencyDown.
    """
    try:
        tracked = keys.read(token)
    except BadToken:
        raise LinkNotFound from None
    link = await _found(tracked, links=links, pause=pause)
    if not _MACHINES.search(user_agent):
        await clicks.note(_clicked(tracked, link, clock=clock))
    return link.url


async def _found(tracked: Tracked, *, links: Links, pause: Pause) -> FrozenLink:
    for look in range(LOOKS):
        if look:
            await pause(LOOK_AGAIN_SECONDS)
        link = await links.get(tracked.execution_id, tracked.link_id)
        if link is not None:
            return link
    raise DependencyDown


def _clicked(tracked: Tracked, link: FrozenLink, *, clock: Clock) -> AnyEvent:
    now = clock.now()
    return new_event(
        EngagementClicked(
            campaign_id=link.campaign,
            execution_id=link.execution,
            test_mode=link.test_mode,
            message_id=link.message,
            contact_id=tracked.contact_id,
            button=link.button,
            url=link.url,
            clicked_at=now,
        ),
        source=SOURCE,
        subject=link.campaign,
        org=link.org,
        time=now,
    )
