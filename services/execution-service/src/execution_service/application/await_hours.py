"""Quiet hours in a shard's turn: what holds, and how long the shard waits when nobody's hours have come.

Nothing is held meanwhile: the shard has no lease, its bot's slots go to others, and no query is made for it
until its first contact may be sent to. A change of the rules makes it due at once: see `RouseShards`.
"""

from collections.abc import Sequence
from datetime import datetime

from service_kit.clock import Clock

from execution_service.application.ports_engine import ShardLease
from execution_service.application.ports_sending import Audience
from execution_service.application.ports_settings import RunSettings
from execution_service.domain.execution import Execution
from execution_service.domain.holding import Held, hold, remaining
from execution_service.domain.quiet_hours import Hours, Outlooks, hours_of

AT_ONCE = 500
"""Contacts whose time zones are read with one query."""


class AwaitHours:
    """Looks at a shard's contacts and their clocks."""

    def __init__(self, *, settings: RunSettings, audience: Audience, clock: Clock) -> None:
        self._settings = settings
        self._audience = audience
        self._clock = clock

    async def hours(self, execution: Execution) -> Hours:
        """What holds for it at the moment."""
        return hours_of(
            execution.snapshot, execution.life, await self._settings.of(execution.org, execution.execution_id)
        )

    async def hold(self, lease: ShardLease, hours: Hours) -> Held | None:
        """How the shard waits, when all whose turn it was must.

        None: somebody of it may be sent to, and is in front now.
        """
        now, positions = self._clock.now(), remaining(lease.state)
        opens = await self.opens(lease.org, [lease.contacts[place] for place in positions], hours, now=now)
        lease.state, whole = hold(lease.state, dict(zip(positions, opens, strict=True)), now=now)
        return whole

    async def opens(
        self, org: str, contacts: Sequence[str], hours: Hours, *, now: datetime
    ) -> list[datetime]:
        """When each of the contacts may be sent to: `now`, or when its quiet hours are over."""
        outlooks = Outlooks(hours, now)
        found = [outlooks.of(zone) for zone in await self.zones(org, contacts, hours)]
        return [now if outlook.open else outlook.until for outlook in found]

    async def zones(self, org: str, contacts: Sequence[str], hours: Hours) -> list[str | None]:
        """The contacts' own time zones, in their order, where they matter. Who was erased has none."""
        if hours.quiet is None or not hours.own_zones:
            return [None] * len(contacts)
        zones: dict[str, str | None] = {}
        for begin in range(0, len(contacts), AT_ONCE):
            some = contacts[begin : begin + AT_ONCE]
            people = await self._audience.addressees(org, some, frozenset())
            zones.update({contact_id: person.timezone for contact_id, person in people.items()})
        return [zones.get(contact_id) for contact_id in contacts]
