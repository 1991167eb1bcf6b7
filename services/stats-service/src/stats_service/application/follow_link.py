"""Send on who follows a tracking link, and take note of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from contracts.envelope import AnyEvent, new_event
from contracts.events.engagement import EngagementClicked
from contracts.tracking import CLICK_ID, BadToken, Tracked, TrackedClick, TrackingKeys
from service_kit.clock import Clock
from service_kit.errors import DependencyDown

from stats_service.application.announce_statistics import SOURCE
from stats_service.application.ports import Links, Pause
from stats_service.domain.errors import LinkNotFound
from stats_service.domain.facts import FrozenLink

LOOKS = 11
LOOK_AGAIN_SECONDS = 0.1

Followed: TypeAlias = Literal["click", "machine", "prefetch", "head", "refused", "not_known"]
"""What came of a request: a person's click; one that is nobody's; no link of ours; a link not heard of."""
Told = Callable[[Followed], None]
Machines = Callable[[str], bool]
"""Whether a user agent is a machine's that looks at links for somebody."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `prefetch`: a browser, before anybody wants to go there; `head`: for the headers alone."""

    user_agent: str = ""
    prefetch: bool = False
    head: bool = False


class Clicks(Protocol):
    """Takes note of clicks."""

    async def note(self, event: AnyEvent) -> None:
        """Keep the event; returns when it is stored, or soon when it has to wait. Never raises."""
        ...


async def follow_link(
    token: str,
    visitor: Visitor,
    *,
    keys: TrackingKeys,
    links: Links,
    clicks: Clicks,
    machines: Machines,
    told: Told,
    clock: Clock,
    pause: Pause,
) -> str:
    """The address that the link leads to, with the id of this click where the address has `CLICK_ID`.

    Machines, prefetches and HEAD are sent on just so, but are nobody's click: whoever goes on from there
    later brings an id of ours with it, and the conversion that follows is known.
    Raises LinkNotFound for what is no token of ours. One of ours says that the link exists: it was sent in a
    message, perhaps before the execution was heard of here, so that is waited for. Raises DependencyDown.
    """
    try:
        tracked = keys.read(token)
    except BadToken:
        told("refused")
        raise LinkNotFound from None
    try:
        link = await known_link(tracked, links=links, pause=pause)
    except DependencyDown:
        told("not_known")
        raise
    # The event and the click id tell the same moment.
    now = clock.now()
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    followed = _followed(visitor, machines)
    told(followed)
    if followed == "click":
        await clicks.note(_clicked(tracked, link, at))
    # The place is replaced at the last moment: a link's name is a digest of its address as written.
    return link.url.replace(CLICK_ID, keys.sign_click(TrackedClick(tracked, at)))


def _followed(visitor: Visitor, machines: Machines) -> Followed:
    if visitor.head:
        return "head"
    if visitor.prefetch:
        return "prefetch"
    return "machine" if machines(visitor.user_agent) else "click"


async def known_link(tracked: Tracked, *, links: Links, pause: Pause) -> FrozenLink:
    """The link that a token of ours names; waits a second for one not heard of. Raises DependencyDown."""
    for look in range(LOOKS):
        if look:
            await pause(LOOK_AGAIN_SECONDS)
        link = await links.get(tracked.execution_id, tracked.link_id)
        if link is not None:
            return link
    raise DependencyDown


def _clicked(tracked: Tracked, link: FrozenLink, at: datetime) -> AnyEvent:
    return new_event(
        EngagementClicked(
            campaign_id=link.campaign,
            execution_id=link.execution,
            test_mode=link.test_mode,
            message_id=link.message,
            contact_id=tracked.contact_id,
            button=link.button,
            url=link.url,
            clicked_at=at,
        ),
        source=SOURCE,
        subject=link.campaign,
        org=link.org,
        time=at,
    )
