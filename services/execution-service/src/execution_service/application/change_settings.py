"""Change what an organisation has decided for all its campaigns."""

from collections.abc import Callable, Collection
from dataclasses import replace

from contracts.envelope import Envelope, new_event
from contracts.events.settings import FrequencyCap, GuardRails, QuietHours, SettingsChanged
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.ports_settings import StoredSettings
from execution_service.application.run_again import run_again
from execution_service.domain.errors import PreconditionFailed
from execution_service.domain.org_settings import OrgSettings

SOURCE = "execution-service"


async def change_settings(
    org: str,
    revise: Callable[[OrgSettings], OrgSettings],
    *,
    versions: Collection[int] | None,
    settings: StoredSettings,
    outbox: Outbox,
    transactions: Transactions,
    clock: Clock,
) -> OrgSettings:
    """Store what `revise` makes of the settings, if anything differs, and tell of it.

    `versions`: those that may be changed; None: any. Raises PreconditionFailed, and what `revise` raises.
    """

    async def work(tx: Tx) -> OrgSettings:
        before = await settings.of(org, tx=tx)
        if versions is not None and before.version not in versions:
            raise PreconditionFailed
        after = revise(before)
        if after == before:
            return before
        after = replace(after, version=before.version + 1, updated_at=clock.now())
        await settings.put(tx, after)
        await outbox.add(tx, settings_changed(after))
        return after

    return await run_again(transactions, work)


def settings_changed(settings: OrgSettings) -> Envelope[SettingsChanged]:
    """The event that tells of the settings, which have been stored."""
    cap, quiet, rails, at = (
        settings.frequency_cap,
        settings.quiet_hours,
        settings.guard_rails,
        settings.updated_at,
    )
    if at is None:
        raise ValueError("the defaults are no change")
    data = SettingsChanged(
        revision=settings.version,
        cost_per_message=settings.cost_per_message,
        currency=settings.currency,
        frequency_cap=cap and FrequencyCap(messages=cap.messages, hours=cap.hours),
        quiet_hours=quiet and QuietHours(from_=f"{quiet.from_:%H:%M}", to=f"{quiet.to:%H:%M}"),
        timezone=settings.timezone,
        timezone_mode=settings.timezone_mode,
        guard_rails=GuardRails(
            blocked_percent=rails.blocked_percent,
            blocked_of=rails.blocked_of,
            equal_errors=rails.equal_errors,
        ),
        changed_at=at,
    )
    return new_event(
        data, source=SOURCE, subject=settings.org, org=settings.org, time=at, sequence=settings.version
    )
