"""The books compared with a recount: what differs is told, what cannot be compared is not."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from chaos.histories import Size, history
from prometheus_client import REGISTRY
from service_kit.mongo.lease import MongoLease
from service_kit.testing.fakes import FixedClock
from stats_service.adapters.mongo_written import MongoNights, MongoWrittenBooks
from stats_service.application.reconcile_books import Reconcile, Reconciled
from stats_service.application.reconcile_nightly import TurnLost, keeping, reconcile_nightly
from stats_service.entrypoints.reconciliation import as_text, tell

pytestmark = pytest.mark.integration
SIZE = Size(campaigns=4, outcomes=480, window=15, engagements=80)
EVENING = datetime(2026, 3, 1, 22, tzinfo=UTC)
THREE = time(3)


async def breathe() -> None:
    await asyncio.sleep(0)


class Case:
    """A history that was counted, to be reconciled."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.messages = history(3, SIZE, datetime.now(UTC))
        self.campaigns = list(dict.fromkeys(message.key for message in self.messages))

    async def counted(self) -> None:
        self.desk.publish(self.messages)
        await self.desk.fold()

    def reconcile(self, breathe: Any = breathe) -> Reconcile:
        return Reconcile(
            (),
            log=self.desk.log,
            positions=self.desk.positions,
            books=MongoWrittenBooks(self.desk.database),
            attribution=timedelta(days=7),
            breathe=breathe,
        )

    async def change(self, campaign: str, collection: str, field: str) -> None:
        """Make a number of the campaign wrong, unseen: no revision tells of it."""
        book = await self.desk.shelf.book_of(campaign)
        changed = await self.desk.database[collection].update_one(
            {"_id": {"$gte": f"{book}/a", "$lt": f"{book}/b"}}, {"$inc": {field: 3}}
        )
        assert changed.modified_count == 1


@pytest.fixture
async def case(desk: Any) -> Case:
    case = Case(desk)
    await case.counted()
    return case


async def test_right_numbers_are_equal_but_for_a_campaign_that_nobody_introduced(case: Case) -> None:
    result = await case.reconcile().run()
    assert (result.equal, result.skipped, result.different) == (SIZE.campaigns - 1, 1, {})


@pytest.mark.parametrize(
    ("collection", "field", "named"),
    [("totals", "delivered", "totals a delivered: "), ("days", "delivered.7", "days a delivered: ")],
)
async def test_a_number_that_was_changed_is_told_in_metric_and_log(
    case: Case, collection: str, field: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = case.campaigns[2]
    await case.change(wrong, collection, field)
    before = REGISTRY.get_sample_value(
        "campaigns_stats_reconciled_campaigns_total", {"result": "different"}
    ) or 0  # fmt: skip
    result = await case.reconcile().run()
    assert list(result.different) == [wrong]
    (difference,) = result.different[wrong]
    assert difference.written == difference.recounted + 3
    assert as_text(difference).startswith(named)
    tell(result)
    after = REGISTRY.get_sample_value("campaigns_stats_reconciled_campaigns_total", {"result": "different"})
    assert after == before + 1
    assert REGISTRY.get_sample_value("campaigns_stats_different_campaigns") == 1
    told = capsys.readouterr().out
    assert "statistics.different" in told
    assert wrong in told
    assert named in told


async def test_a_campaign_that_moves_meanwhile_is_left_for_another_night(case: Case) -> None:
    moving = case.campaigns[2]
    await case.change(moving, "totals", "delivered")
    moved = False

    async def move() -> None:
        nonlocal moved
        if not moved:
            moved = True
            await case.desk.database["numbers"].update_one({"_id": moving}, {"$inc": {"revision": 1}})

    result = await case.reconcile(move).run()
    assert (result.equal, result.skipped, result.different) == (SIZE.campaigns - 2, 2, {})


async def test_what_is_published_and_not_yet_counted_is_no_difference(case: Case) -> None:
    case.desk.publish(history(4, SIZE, datetime.now(UTC)))
    result = await case.reconcile().run()
    assert (result.equal, result.skipped, result.different) == (SIZE.campaigns - 1, 1, {})


async def test_what_another_organisation_told_of_a_campaign_is_parked_and_no_difference(case: Case) -> None:
    foreign = [
        message._replace(
            body=message.body.replace(b'"orgid":"acme"', b'"orgid":"evil"').replace(b"_1_", b"_9_")
        )
        for message in case.messages
        if message.key == case.campaigns[2] and message.topic == "delivery-events"
    ]
    parked = len(case.desk.parked)
    case.desk.publish(foreign)
    await case.desk.fold()
    assert len(case.desk.parked) > parked + 5
    result = await case.reconcile().run()
    assert (result.equal, result.skipped, result.different) == (SIZE.campaigns - 1, 1, {})


async def test_what_another_organisation_told_before_the_campaign_was_known_is_a_difference(
    desk: Any,
) -> None:
    """It was counted, as nobody could know better; a rebuild counts it out."""
    case = Case(desk)
    wrong = case.campaigns[2]
    foreign = [
        message._replace(
            body=message.body.replace(b'"orgid":"acme"', b'"orgid":"evil"').replace(b"_1_", b"_9_")
        )
        for message in case.messages
        if message.key == wrong and message.topic == "delivery-events"
    ]
    desk.publish(foreign)
    await desk.fold()
    await case.counted()
    assert list((await case.reconcile().run()).different) == [wrong]
    await desk.rebuild(wrong)
    assert not (await case.reconcile().run()).different


async def test_campaigns_of_which_the_log_has_lost_something_cannot_be_compared(case: Case) -> None:
    case.desk.log.start = 12
    result = await case.reconcile().run()
    assert result.skipped == SIZE.campaigns
    assert not result.different


class Night:
    """A database, a clock, and replicas that look whether it is time."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.clock = FixedClock(EVENING)
        self.did: list[str] = []

    def turn(self, who: str) -> MongoLease:
        return MongoLease(self.database, name="reconciliation", owner=who, seconds=60, clock=self.clock)

    async def look(self, who: str, work: Any = None) -> Reconciled | None:
        async def reconcile() -> Reconciled:
            if work is not None:
                await work()
            self.did.append(who)
            return Reconciled()

        return await reconcile_nightly(
            reconcile, at=THREE, nights=MongoNights(self.database), turn=self.turn(who), clock=self.clock
        )

    def is_at(self, moment: datetime) -> None:
        self.clock.advance((moment - self.clock.now()).total_seconds())


@pytest.fixture
def night(mongo_database: Any) -> Night:
    return Night(mongo_database)


async def test_it_is_done_once_a_night_whichever_replica_looks(night: Night) -> None:
    for moment in (
        EVENING,
        EVENING + timedelta(hours=4, minutes=59),
        EVENING + timedelta(hours=5),
        EVENING + timedelta(hours=6),
        EVENING + timedelta(hours=29),
    ):
        night.is_at(moment)
        for who in ("one", "two"):
            await night.look(who)
        night.did.append(f"{moment:%d %H:%M}")
    assert night.did == ["01 22:00", "02 02:59", "one", "02 03:00", "02 04:00", "one", "03 03:00"]


async def test_while_one_does_it_another_one_does_not(night: Night) -> None:
    await night.look("one")
    night.is_at(EVENING + timedelta(hours=5))

    async def another_looks() -> None:
        assert await night.look("two") is None

    await night.look("one", another_looks)
    assert night.did == ["one"]


async def test_who_dies_in_it_leaves_it_to_another_one(night: Night) -> None:
    await night.look("one")
    night.is_at(EVENING + timedelta(hours=5))
    assert await night.turn("one").acquire() is not None  # and then it dies
    assert await night.look("two") is None
    night.clock.advance(61)
    assert await night.look("two") is not None
    assert night.did == ["two"]


async def test_who_was_held_up_for_too_long_stops_when_another_one_has_taken_over(night: Night) -> None:
    mine, other = night.turn("one"), night.turn("two")
    assert await mine.acquire() is not None
    keep = keeping(mine, every_seconds=20, clock=night.clock, pause=asyncio.sleep)
    for _ in range(5):
        night.clock.advance(30)
        await keep()
        assert await other.acquire() is None
    night.clock.advance(61)
    assert await other.acquire() is not None
    with pytest.raises(TurnLost):
        await keep()
