"""A clock that tests move, and a Bot API on it."""

from collections.abc import Callable

import msgspec
import pytest
from telegram_simulator.bot_api import Answer, BotApi
from telegram_simulator.config import Config
from telegram_simulator.ledger import Entry, Filter, Ledger
from telegram_simulator.limits import SECOND

TOKEN = "4242:abcdefghij_KLMNOP"


class Clock:
    """Monotonic nanoseconds that move only when told."""

    def __init__(self) -> None:
        self.now = 5 * SECOND

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


class Bench:
    """A BotApi on a controlled clock, with short ways to call it and to read its ledger."""

    def __init__(self, config: Config) -> None:
        self.clock = Clock()
        epoch = 1_800_000_000
        self.ledger = Ledger(lambda: epoch * 1_000_000 + self.clock() // 1000)
        self.api = BotApi(config, self.ledger, clock=self.clock, now=lambda: epoch + self.clock() / SECOND)

    def call(self, method: str = "sendMessage", token: str = TOKEN, **parameters: object) -> Answer:
        return self.api.call(token, method, lambda: parameters)

    def send(self, chat_id: object, text: object = "hi") -> Answer:
        return self.call(chat_id=chat_id, text=text)

    def entries(self, wanted: Filter | None = None) -> list[Entry]:
        return [entry for chunk in self.ledger.read(wanted or Filter()) for entry in chunk]


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Makes a Bench with the given settings and otherwise no limits."""

    def make(**settings: object) -> Bench:
        free = {"bot_per_second": 0, "chat_per_second": 0, "group_per_minute": 0}
        return Bench(msgspec.convert(free | settings, Config))

    return make


@pytest.fixture
def clock() -> Clock:
    """A clock of its own, for the limits."""
    return Clock()
