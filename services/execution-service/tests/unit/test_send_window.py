"""One window on its way, at Telegram's pace and at that of servers without its limits."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.application.ports_sending import Grant, Rendered, Sender, Sharer, Slot
from execution_service.application.prepare_window import Letter
from execution_service.application.send_window import SendTiming, SendWindow, SentWindow
from execution_service.application.silence import Silence
from execution_service.domain.bot import BotLimits, pace
from execution_service.domain.execution import BotRef, Execution
from execution_service.domain.outcomes import (
    Back,
    Candidate,
    Delivered,
    Final,
    NotConnected,
    RateLimited,
    SendResult,
    Unauthorized,
)
from service_kit.testing.fakes import FixedClock

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LETTERS = 100
PATIENT = 60.0
"""Seconds after which a slot is missed here that is not meant to be: the machine may be busy."""
LANES = 24
Answer = Callable[[int], SendResult | None]


class World:
    """Telegram, the limiter and the memories of silence. An answer of None never comes."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.sent: Counter[int] = Counter()
        self.under_way = self.most = self.reserved = 0
        self.stopping = asyncio.Event()
        self.confused = False

    async def send(self, token: str, chat_id: int, rendered: Rendered, *, paid: bool) -> SendResult:
        self.sent[chat_id] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        result = self.answer(chat_id)
        if result is None:
            self.stopping.set()
            await asyncio.Event().wait()
        self.under_way -= 1
        assert result is not None
        return result

    async def reserve(self, sharer: Sharer, chats: Sequence[int], *, missed: Sequence[Slot] = ()) -> Grant:
        if self.confused:
            raise ValueError("not an answer of the limiter's")
        assert len(missed) == len(chats)
        self.reserved += len(chats)
        now = asyncio.get_running_loop().time()
        return Grant([Slot(now, now + PATIENT, 0.0) for _ in chats])

    async def block(self, telegram_id: int, seconds: float) -> None:
        return None

    async def until(self, telegram_id: int) -> None:
        return None

    async def extend(self, telegram_id: int, until: datetime) -> None:
        return None


class Notes:
    """An observer that forgets."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def sent_window(
    answer: Answer, rate: int, *, late: float = 0.0, in_time: int = 0, confused: bool = False
) -> tuple[World, SentWindow]:
    """What becomes of a window whose slots are now, or went by `late` seconds ago but for the first `in_time`.

    `confused`: the limiter answers something that nobody foresaw.
    """

    async def run() -> tuple[World, SentWindow]:
        world, clock = World(answer), FixedClock(NOW)
        world.confused = confused
        window = SendWindow(
            api=world, moves=None, limiter=world, observer=Notes(), clock=clock, stopping=world.stopping,  # type: ignore[arg-type]
            silence=Silence(limiter=world, waits=world, clock=clock),
            timing=SendTiming(patience_seconds=1, drain_seconds=0.05),
        )  # fmt: skip
        snapshot = ExecutionSnapshot(
            messages=[FrozenMessage(id="msg", content="x")],
            audience=AudienceDefinition(),
            options=ExecutionOptions(),
            sampling_seed="s",
        )
        loop = asyncio.get_running_loop()
        letters = [Letter(Candidate(n), f"con_{n}", n, None, Rendered("x", "none")) for n in range(LETTERS)]
        execution = Execution("exec_1", "acme", "camp_1", "running", snapshot, NOW)
        sender = Sender(BotRef("bot_1", 7), "7:token", BotLimits(per_second=rate))
        began = loop.time() + (0.01 if in_time else 0)
        gone = began - late
        slots = [
            Slot(gone, gone + pace(rate).late, float(n)) if late and n >= in_time
            else Slot(began, began + PATIENT, float(n))
            for n in range(LETTERS)
        ]  # fmt: skip
        sent = await asyncio.wait_for(
            window(letters, slots, sender, execution=execution, stop_at=loop.time() + 60), timeout=5
        )
        assert [_position(item) for item in sent.results] == list(range(LETTERS))
        return world, sent

    return asyncio.run(run())


def _position(item: Final | Back) -> int:
    return item.position if isinstance(item, Final) else item.candidate.position


def statuses(sent: SentWindow) -> Counter[str]:
    return Counter(item.status if isinstance(item, Final) else "back" for item in sent.results)


@pytest.fixture(params=[1_000, 100_000], ids=["telegram's pace", "coarse pace"])
def rate(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_each_letter_is_sent_once_and_settled_by_its_own_answer(rate: int) -> None:
    world, sent = sent_window(Delivered, rate)
    assert world.sent == Counter(range(LETTERS))
    assert [item.message_id for item in sent.results if isinstance(item, Final)] == list(range(LETTERS))
    assert not sent.unauthorized
    assert not sent.not_connected


def test_only_beyond_telegrams_pace_few_are_under_way_at_once() -> None:
    assert sent_window(Delivered, 1_000)[0].most == LETTERS
    assert sent_window(Delivered, 100_000)[0].most == LANES


def test_missed_slots_are_replaced(rate: int) -> None:
    world, sent = sent_window(Delivered, rate, late=0.5)
    assert world.reserved >= LETTERS  # more when this process stalls, and they are missed again
    assert world.sent == Counter(range(LETTERS))
    assert statuses(sent) == {"successful": LETTERS}


@pytest.mark.parametrize("answer", [RateLimited(3), Unauthorized()])
def test_after_a_refusal_of_the_bot_the_rest_is_not_dispatched(rate: int, answer: SendResult) -> None:
    world, sent = sent_window(lambda chat: answer if chat == 0 else Delivered(chat), rate)
    assert sent.unauthorized == isinstance(answer, Unauthorized)
    assert isinstance(sent.results[0], Back)
    assert statuses(sent)["successful"] == len(world.sent) - 1
    assert statuses(sent)["back"] == LETTERS - len(world.sent) + 1
    if rate > 1_000:
        assert len(world.sent) <= 2 * LANES


def test_without_a_connection_all_go_back(rate: int) -> None:
    _, sent = sent_window(lambda _: NotConnected(), rate)
    assert sent.not_connected
    assert statuses(sent) == {"back": LETTERS}


def test_a_stopping_process_calls_unknown_what_it_dispatched_and_gives_back_the_rest(rate: int) -> None:
    world, sent = sent_window(lambda chat: None if chat % 2 else Delivered(chat), rate)
    unanswered = sum(chat % 2 for chat in world.sent)
    assert unanswered
    assert statuses(sent)["unknown"] == unanswered
    assert statuses(sent)["successful"] == len(world.sent) - unanswered
    assert statuses(sent)["back"] == LETTERS - len(world.sent)
    assert not any(isinstance(item, Back) and item.candidate.position in world.sent for item in sent.results)


@pytest.mark.parametrize("rate", [30, 100_000])
def test_what_nobody_foresaw_in_a_window_leaves_its_answers_known(rate: int) -> None:
    world, sent = sent_window(Delivered, rate, late=5.0, in_time=10, confused=True)
    finals = [item for item in sent.results if isinstance(item, Final)]
    assert {item.status for item in finals} <= {"successful"}
    assert len(finals) == len(world.sent) > 0
    assert len(sent.results) == LETTERS
