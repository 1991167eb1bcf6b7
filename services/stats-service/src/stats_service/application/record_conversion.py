"""Record a conversion, and tell of it once.

Mental model: the row and the event are one transaction, and the row's id is made from the back end's own. So
a conversion with an `external_id` is there once and told once, whoever tells of it at the same moment, dies
on the way or never got the answer. One without is there as often as it is told of, unless an Idempotency-Key
says that it is the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.envelope import AnyEvent, new_event
from contracts.events.engagement import Click, EngagementConverted
from contracts.ids import created_at
from contracts.tracking import BadToken, TrackingKeys
from service_kit.clock import Clock
from service_kit.errors import DependencyDown, Detail, FieldErrors
from service_kit.ports import Outbox, Transactions, Tx

from stats_service.application.announce_statistics import SOURCE
from stats_service.application.follow_link import known_link
from stats_service.application.ports import Campaigns, Links, Pause
from stats_service.application.ports_conversions import ConversionExists, Conversions, Currencies
from stats_service.domain.conversion import Conversion, FromClick, conversion_id, time_of

LOOKS = 11
LOOK_AGAIN_SECONDS = 0.1
YOUNG = timedelta(seconds=10)
"""Whoever is told of a campaign so young may know it before we do."""


class OfContact(NamedTuple):
    """The contact itself is named, and the campaign that it answers."""

    campaign: str
    contact: str


@dataclass(frozen=True, slots=True)
class ConversionTold:
    """What a back end says. `whose` is a click id, or names the contact; absent is the usual."""

    whose: str | OfContact
    amount: int = 0
    currency: str | None = None
    occurred_at: datetime | None = None
    external_id: str | None = None


class Recorded(NamedTuple):
    """The conversion as it was recorded; `duplicate`: before, by an earlier request."""

    conversion: Conversion
    duplicate: bool


class _Whose(NamedTuple):
    campaign: str
    contact: str
    click: FromClick | None = None
    test_mode: bool = False


class RecordConversion:
    """The use case, on its ports."""

    def __init__(
        self,
        *,
        keys: TrackingKeys,
        links: Links,
        campaigns: Campaigns,
        currencies: Currencies,
        conversions: Conversions,
        outbox: Outbox,
        clock: Clock,
        pause: Pause,
    ) -> None:
        self._keys = keys
        self._links = links
        self._campaigns = campaigns
        self._currencies = currencies
        self._conversions = conversions
        self._outbox = outbox
        self._clock = clock
        self._pause = pause

    async def __call__(self, told: ConversionTold, *, org: str, transactions: Transactions) -> Recorded:
        """What is recorded now, or was before under this `external_id`, whatever else is told this time.

        Raises FieldErrors, naming the field and its rule. Another organisation's click or campaign is none.
        """
        identifier = conversion_id(org, told.external_id)
        if told.external_id is not None and (known := await self._conversions.get(org, identifier)):
            return Recorded(known, duplicate=True)
        conversion = await self._conversion(identifier, told, org)

        async def work(tx: Tx) -> Recorded:
            stored = await self._conversions.add(tx, conversion)
            # The event names an erased contact, too: it is counted as the person's, by reference (ADR 19).
            await self._outbox.add(tx, _converted(conversion))
            return Recorded(stored, duplicate=False)

        for _ in range(LOOKS):
            try:
                return await transactions.run(work)
            except ConversionExists:
                if known := await self._conversions.get(org, identifier):
                    return Recorded(known, duplicate=True)
                await self._pause(LOOK_AGAIN_SECONDS)  # whoever has it has not committed
        raise DependencyDown

    async def _conversion(self, identifier: str, told: ConversionTold, org: str) -> Conversion:
        whose = await (
            self._of_click(told.whose, org)
            if isinstance(told.whose, str)
            else self._of_contact(told.whose, org)
        )
        currency = await self._currency(told.currency, org)
        now = self._clock.now()
        try:
            at = time_of(told.occurred_at, now=now, click=whose.click)
        except ValueError as error:
            raise _refused("occurredAt", str(error)) from None
        return Conversion(
            id=identifier,
            org=org,
            campaign=whose.campaign,
            contact=whose.contact,
            amount=told.amount,
            currency=currency,
            converted_at=at,
            recorded_at=now,
            external_id=told.external_id,
            click=whose.click,
            test_mode=whose.test_mode,
        )

    async def _of_click(self, click_id: str, org: str) -> _Whose:
        try:
            click = self._keys.read_click(click_id)
        except BadToken:
            raise _refused("clickId", "is not a click's id") from None
        link = await known_link(click.tracked, links=self._links, pause=self._pause)
        if link.org != org:
            raise _refused("clickId", "is not a click's id")
        source = FromClick(link.execution, link.message, click.at)
        return _Whose(link.campaign, click.tracked.contact_id, source, link.test_mode)

    async def _of_contact(self, named: OfContact, org: str) -> _Whose:
        """A campaign is known here some milliseconds after it was created: a young one is waited for."""
        made = created_at(named.campaign)
        young = made is not None and abs(self._clock.now() - made) < YOUNG
        for look in range(LOOKS if young else 1):
            if look:
                await self._pause(LOOK_AGAIN_SECONDS)
            owner = await self._campaigns.owner_of(named.campaign)
            if owner is not None:
                break
        if owner is None or owner.org != org:
            raise _refused("campaignId", "there is no such campaign")
        return _Whose(named.campaign, named.contact)

    async def _currency(self, told: str | None, org: str) -> str:
        """The organisation's. Another one is looked for again: settings may have changed a moment ago."""
        currency = await self._currencies.currency_of(org)
        for _ in range(LOOKS - 1):
            if told in (None, currency):
                return currency
            await self._pause(LOOK_AGAIN_SECONDS)
            currency = await self._currencies.currency_of(org)
        raise _refused("currency", f"must be the organisation's, {currency}")


def _refused(field: str, rule: str) -> FieldErrors:
    return FieldErrors(f"{field}: {rule}", details=[Detail(field, rule)])


def _converted(conversion: Conversion) -> AnyEvent:
    click = conversion.click
    return new_event(
        EngagementConverted(
            campaign_id=conversion.campaign,
            conversion_id=conversion.id,
            test_mode=conversion.test_mode,
            contact_id=conversion.contact or "",
            value=conversion.value,
            currency=conversion.currency,
            click=click
            and Click(execution_id=click.execution, message_id=click.message, clicked_at=click.at),
            converted_at=conversion.converted_at,
        ),
        source=SOURCE,
        subject=conversion.campaign,
        org=conversion.org,
        time=conversion.recorded_at,
        event_id=f"evt_{conversion.id}",
    )
