"""Machines that look at links for people, by their user agents: link previews, crawlers, libraries.

The list is data: that of the package crawler-user-agents, with `link_machines.json` beside it for what the
package lacks and for people whom it takes for machines.
"""

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from crawleruseragents import is_crawler

LOOKED_AT = 512
"""Characters; no browser's name is longer, and each is compared with some 1,500 patterns."""
KEPT = 4_096
"""User agents whose decision is kept, the last used."""


class LinkMachines:
    """Decides once for each user agent: half a millisecond, then nothing."""

    def __init__(self) -> None:
        told = json.loads(files(__package__).joinpath("link_machines.json").read_text(encoding="utf-8"))
        self._people = _any_of(told["people"])
        self._machines = _any_of(told["machines"])
        self._decided = lru_cache(KEPT)(self._decide)

    def __call__(self, user_agent: str) -> bool:
        """Whether it is a machine's. Who does not say what it is counts as a person."""
        return self._decided(user_agent[:LOOKED_AT])

    def _decide(self, user_agent: str) -> bool:
        if self._people.search(user_agent):
            return False
        return bool(self._machines.search(user_agent)) or is_crawler(user_agent)


def _any_of(entries: list[dict[str, Any]]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{entry['pattern']})" for entry in entries), re.IGNORECASE)
