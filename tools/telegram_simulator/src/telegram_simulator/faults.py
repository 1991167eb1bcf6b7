"""Which fault meets whom: pure functions of the seed, so that a test can predict every one.

A chat's fault is sticky: it depends on the seed and the chat alone. A request's fault depends on the seed,
the chat and the attempt's number for that chat (from 1), so the order in which chats are served, the
number of connections and the time do not matter. Both compare a uniform number in [0, 1), taken from a
BLAKE2b digest, with the configured shares laid one after the other, which makes them disjoint.
"""

from hashlib import blake2b
from typing import NamedTuple

from telegram_simulator.config import Config
from telegram_simulator.outcomes import Outcome


class RequestFault(NamedTuple):
    """What happens to one request: an error or a drop (never both), and seconds of delay."""

    server_error: bool
    dropped: bool
    delay: float


NO_FAULT = RequestFault(False, False, 0.0)


def uniform(seed: int, purpose: str, *parts: int) -> float:
    """A number in [0, 1) that depends on nothing but the arguments."""
    text = f"{seed}:{purpose}:{':'.join(map(str, parts))}"
    digest = blake2b(text.encode(), digest_size=7).digest()
    return (int.from_bytes(digest) >> 3) / (1 << 53)


def chat_fault(config: Config, chat_id: int) -> Outcome | None:
    """The lasting fault of a chat, or None. The explicit lists go before the shares."""
    if chat_id in config.blocked_chats:
        return Outcome.BLOCKED
    if chat_id in config.deactivated_chats:
        return Outcome.DEACTIVATED
    if chat_id in config.not_found_chats:
        return Outcome.NOT_FOUND
    if chat_id in config.not_started_chats:
        return Outcome.NOT_STARTED
    return _chat_fault_by_share(config, chat_id)


def _chat_fault_by_share(config: Config, chat_id: int) -> Outcome | None:
    edge = config.blocked_share + config.deactivated_share + config.not_found_share + config.not_started_share
    if not edge:
        return None
    drawn = uniform(config.seed, "chat", chat_id)
    edge = 0.0
    for share, outcome in (
        (config.blocked_share, Outcome.BLOCKED),
        (config.deactivated_share, Outcome.DEACTIVATED),
        (config.not_found_share, Outcome.NOT_FOUND),
        (config.not_started_share, Outcome.NOT_STARTED),
    ):
        edge += share
        if drawn < edge:
            return outcome
    return None


def request_fault(config: Config, chat_id: int, attempt: int) -> RequestFault:
    """The fault of the `attempt`-th request (from 1) to a chat that the limits let through."""
    if not (config.server_error_share or config.dropped_share or config.slow_share):
        return NO_FAULT
    drawn = uniform(config.seed, "request", chat_id, attempt)
    server_error = drawn < config.server_error_share
    dropped = not server_error and drawn < config.server_error_share + config.dropped_share
    slow = config.slow_share > 0 and uniform(config.seed, "slow", chat_id, attempt) < config.slow_share
    return RequestFault(server_error, dropped, config.slow_seconds if slow else 0.0)


def in_burst(config: Config, elapsed_seconds: float) -> bool:
    """Whether the bots answer 429 now, `elapsed_seconds` after the bursts' clock was started.

    The first burst comes after one whole period, so that a start is never met by one.
    """
    every = config.burst_429_every_seconds
    return (
        every > 0 and elapsed_seconds >= every and elapsed_seconds % every < config.burst_429_length_seconds
    )
