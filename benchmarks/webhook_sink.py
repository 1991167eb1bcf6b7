"""The compiled sink as a subscriber: which event arrived at which of its hooks, and when."""

import urllib.request
from typing import NamedTuple

from telegram_sink import TIMEOUT_SECONDS, TelegramSink


class Arrival(NamedTuple):
    """`event`: the digits at the end of its id; `at`: seconds since the epoch."""

    event: int
    hook: int
    at: float


class WebhookSink(TelegramSink):
    """A running sink; use it in a `with`."""

    def hook(self, number: int) -> str:
        """Where to deliver to."""
        return f"{self.url}/hook/{number}"

    def arrivals(self) -> list[Arrival]:
        """What has arrived since the last reset, in its order."""
        with urllib.request.urlopen(f"{self.url}/arrivals", timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            lines = answer.read().decode().splitlines()
        return [
            Arrival(int(event), int(hook), float(at)) for event, hook, at in (line.split() for line in lines)
        ]
