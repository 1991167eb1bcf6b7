"""What a window's answers say of its chats: who cannot be reached, and who can again.

Mental model: a note beside the outcome, not part of it. It is made after the outcomes are stored, in a
transaction of its own. If it is lost (a crash in between, a database that stays away) the next campaign
tries the contact once more and learns it again; so it is given up after a while rather than hold the shard.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import count

from service_kit.clock import Clock
from service_kit.logging import get_logger
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Contacts
from execution_service.application.prepare_window import Letter
from execution_service.application.run_again import run_again
from execution_service.domain.contact import Unreachable, note_reach
from execution_service.domain.outcomes import Back, Final
from execution_service.domain.suppression import unreachable_by

log = get_logger()
_Told = Mapping[str, tuple[int, Unreachable | None]]
"""Contact → the chat that was written to, and why it did not arrive (None: it arrived)."""


class NoteReach:
    """Notes it. `seconds`: how long it is tried."""

    def __init__(
        self, *, contacts: Contacts, transactions: Transactions, clock: Clock, seconds: float
    ) -> None:
        self._contacts = contacts
        self._transactions = transactions
        self._clock = clock
        self._seconds = seconds

    async def __call__(self, org: str, letters: Sequence[Letter], results: Sequence[Final | Back]) -> None:
        """Of `letters` with their `results`, in the same order. Never raises but on cancellation."""
        told = _told(letters, results)
        if not told:
            return
        try:
            async with asyncio.timeout(self._seconds):
                for pause in count(1):
                    if await self._noted(org, told):
                        return
                    await asyncio.sleep(0.05 * pause)
        except TimeoutError:
            log.warning("contacts.reach_not_noted", org=org, count=len(told))

    async def _noted(self, org: str, told: _Told) -> bool:
        async def work(tx: Tx) -> None:
            now = self._clock.now()
            before = await self._contacts.by_ids(org, list(told), tx=tx)
            pairs = [(one, note_reach(one, *told[name], now=now)) for name, one in before.items()]
            if changed := [after for one, after in pairs if after is not one]:
                await self._contacts.replace(tx, changed)

        try:
            await run_again(self._transactions, work)
            return True
        except Exception as error:
            log.warning("contacts.reach_waiting", org=org, reason=type(error).__name__)
            return False


def _told(letters: Sequence[Letter], results: Sequence[Final | Back]) -> _Told:
    told: dict[str, tuple[int, Unreachable | None]] = {}
    for letter, result in zip(letters, results, strict=True):
        if not isinstance(result, Final):
            continue
        unreachable = unreachable_by(result.code)
        arrived = result.status == "successful" and letter.unreachable is not None
        if arrived or (unreachable is not None and unreachable != letter.unreachable):
            told[letter.contact_id] = letter.chat_id, unreachable
    return told
