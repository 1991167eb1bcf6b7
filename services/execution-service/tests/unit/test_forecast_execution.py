"""A forecast of many contacts is told by some of them; of few by all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.application import forecast_execution
from execution_service.application.draw_members import DrawMembers
from execution_service.application.forecast_execution import Forecast, ForecastExecution, ForecastQuery
from execution_service.domain.audience_columns import CHUNK_SIZE
from execution_service.domain.bot import Bot, BotLimits
from execution_service.domain.contact import Addressee, Contact
from execution_service.domain.org_settings import FrequencyCap, OrgSettings
from execution_service.domain.recent_sends import BLOCK_SIZE, Block, Send, block_of

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
Audience = Any


class Readers:
    """The port `Audience` of sending, over contacts in memory."""

    def __init__(self, audience: Audience) -> None:
        self._contacts = audience.contacts
        self.asked = 0

    async def addressees(
        self, org: str, ids: Sequence[str], fields: frozenset[str]
    ) -> Mapping[str, Addressee]:
        self.asked += len(ids)
        found: dict[str, Contact] = await self._contacts.by_ids(org, ids)
        return {
            name: Addressee(1, one.opted_out, {"firstName": one.first_name}, one.unreachable, one.timezone)
            for name, one in found.items()
        }


class Sends:
    """The port `RecentSends`: the contacts with these ordinals got so many messages an hour ago."""

    def __init__(self, got: Mapping[int, int]) -> None:
        self._got = got

    async def read(self, org: str, numbers: Iterable[int], *, tx: Any = None) -> Mapping[int, Block]:
        at = int(NOW.timestamp()) - 3600
        return {
            number: Block(
                number,
                1,
                tuple(
                    Send(ordinal % BLOCK_SIZE, at, f"m{message}")
                    for ordinal, count in self._got.items()
                    if block_of(ordinal) == number
                    for message in range(count)
                ),
            )
            for number in numbers
        }


class OneBot:
    """The port `Bots`: one, of ten messages a second."""

    async def default(self, org: str) -> Bot:
        return Bot("bot_1", org, "Bot", 1, None, "", BotLimits(per_second=10), True, NOW)


@pytest.fixture
async def readers(audience: Audience) -> Readers:
    """Eight hundred contacts, a hundred to a chunk: of ten, one opted out, one is blocked, two lack a name."""
    for chunk in range(8):
        audience.contacts.given = chunk * CHUNK_SIZE
        people = [
            Contact(
                "acme", f"c{chunk}{number:02}", 1, NOW, NOW, segments=("a",),
                first_name=None if number % 10 < 2 else "N", opted_out=number % 10 == 9,
                unreachable="BLOCKED" if number % 10 == 8 else None,
            )
            for number in range(100)
        ]  # fmt: skip
        await audience.transactions.run(lambda tx, people=people: audience.contacts.insert(tx, people))
    return Readers(audience)


async def told(
    audience: Audience,
    readers: Readers,
    *,
    budget: float | None = None,
    steps: int = 1,
    cap: FrequencyCap | None = None,
    got: Mapping[int, int] = MappingProxyType({}),
    **options: Any,
) -> Forecast:
    snapshot = ExecutionSnapshot(
        messages=[FrozenMessage(id=f"m{n}", content="Hi {{firstName}}") for n in range(steps)],
        audience=AudienceDefinition(segments=["a"]),
        options=ExecutionOptions(**options),
        sampling_seed="s",
        budget=budget,
    )
    audience.org_settings.rows["acme"] = OrgSettings("acme", cost_per_message=0.1, frequency_cap=cap)
    forecast = ForecastExecution(
        measure=audience.measure,
        draw=DrawMembers(audience.chunks),
        segments=audience.segments,
        audience=readers,
        bots=OneBot(),  # type: ignore[arg-type]
        settings=audience.org_settings,
        sends=Sends(got),  # type: ignore[arg-type]
    )
    return await forecast(ForecastQuery("acme", snapshot, NOW))


async def test_of_few_contacts_each_is_looked_at(audience: Audience, readers: Readers) -> None:
    codes = {"OPTED_OUT": 80, "BLOCKED": 80, "MISSING_FIELD": 160}
    assert await told(audience, readers) == Forecast(800, codes, 480, 48.0, 48.0)
    assert readers.asked == 800
    assert await told(audience, readers, budget=30) == Forecast(
        800, {**codes, "BUDGET_EXHAUSTED": 180}, 300, 30.0, 30.0
    )


async def test_the_cap_leaves_each_contact_what_it_did_not_get_of_late(
    audience: Audience, readers: Readers
) -> None:
    codes = {"OPTED_OUT": 80, "BLOCKED": 80, "MISSING_FIELD": 160}
    # Ordinals are from 1: of a chunk's first ten the 3rd to the 8th are those who are sent to.
    got = {3: 1, 4: 2, 5: 9, 10: 2}
    capped = await told(audience, readers, steps=2, cap=FrequencyCap(2, 24), got=got)
    assert (capped.suppressed, capped.messages) == ({**codes, "FREQUENCY_CAP": 3}, 480 * 2 - 1 - 2 - 2)
    later = await told(audience, readers, steps=2, cap=FrequencyCap(2, 1), got=got)
    assert (later.suppressed, later.messages) == (codes, 480 * 2)
    tested = await told(audience, readers, cap=FrequencyCap(1, 24), got=got, test_mode=True, budget=0)
    assert (tested.messages, tested.total_count) == (0, 800)


@pytest.mark.parametrize("budget", [None, 30.0])
async def test_of_many_contacts_some_stand_for_all_but_who_is_suppressed_is_counted(
    audience: Audience, readers: Readers, budget: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast_execution, "CONTACTS", 100)
    found = await told(audience, readers, budget=budget)
    assert 80 <= readers.asked <= 120
    assert (found.total_count, found.suppressed["OPTED_OUT"], found.suppressed["BLOCKED"]) == (800, 80, 80)
    assert found.suppressed["MISSING_FIELD"] == pytest.approx(160, abs=80)
    meant = 800 - sum(found.suppressed.values())
    assert found.messages == pytest.approx(meant, abs=1)
    assert found.messages == pytest.approx(480 if budget is None else 300, abs=80 if budget is None else 4)
    assert found.cost == pytest.approx(found.messages * 0.1)


async def test_of_a_sample_of_many_the_share_is_told(
    audience: Audience, readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast_execution, "CONTACTS", 100)
    found = await told(audience, readers, target_percentage=50)
    assert (found.total_count, found.suppressed["OPTED_OUT"]) == (800, 40)
    assert found.messages + sum(found.suppressed.values()) == pytest.approx(400, abs=1)


async def test_contacts_of_many_messages_are_fewer_that_are_looked_at(
    audience: Audience, readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast_execution, "DECISIONS", 50)
    await told(audience, readers)
    assert readers.asked < 80


async def test_a_name_that_is_there_by_now_is_seen_at_once(audience: Audience, readers: Readers) -> None:
    before = audience.contacts.rows["acme/c000"]
    await audience.transactions.run(
        lambda tx: audience.contacts.replace(tx, [replace(before, first_name="Ann", opted_out=True)])
    )
    assert (await told(audience, readers)).suppressed == {
        "OPTED_OUT": 81,
        "BLOCKED": 80,
        "MISSING_FIELD": 159,
    }
