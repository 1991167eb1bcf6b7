"""What the execution bench reads afterwards: recipients by page, the audience, how fresh its size is."""

import statistics
from time import perf_counter
from typing import Any

from execution_org import Org, until
from load import Unexpected

WALK_SECONDS = 60.0
PAGE, SMALL_PAGE, PAGES = 1000, 100, 20
FRESH = 5
FRESH_SECONDS = 60.0


async def recipients(org: Org, campaign_id: str, total: int) -> dict[str, Any]:
    """Walks the ledger to its end (or for WALK_SECONDS), then times pages of the default size in it."""
    path = f"/campaigns/{campaign_id}/recipients"
    cursors: list[str | None] = [None]
    times, seen = [], set[str]()
    began, whole = perf_counter(), False
    while not whole and perf_counter() - began < WALK_SECONDS:
        at = perf_counter()
        page = await org.get("execution", f"{path}?limit={PAGE}{_after(cursors[-1])}")
        times.append(perf_counter() - at)
        seen.update(row["contactId"] for row in page["recipients"])
        cursors.append(page["nextCursor"])
        whole = page["nextCursor"] is None
    places = cursors[:-1] if whole else cursors
    few = min(PAGES, len(places))
    middle = len(places) // 2 - few // 2
    latency = {f"recipients, pages of {PAGE}": _latency(times)}
    for name, some in (
        ("first", places[:few]), ("middle", places[middle : middle + few]), ("last", places[-few:]),
    ):  # fmt: skip
        small = [await _timed(org, f"{path}?limit={SMALL_PAGE}{_after(place)}") for place in some]
        latency[f"recipients, {name} pages of {SMALL_PAGE}"] = _latency(small)
    return {"contacts": len(seen), "complete": whole and len(seen) == total, "latency": latency}


async def audience(org: Org, campaign_id: str, members: int) -> dict[str, Any]:
    """Times of GET /campaigns/:id/audience, which must show all `members`. Raises Unexpected."""
    path = f"/campaigns/{campaign_id}/audience"
    shown = (await org.get("execution", path))["totalCount"]
    if shown != members:
        raise Unexpected(f"the audience has {shown}, not {members}")
    return _latency([await _timed(org, path) for _ in range(FRESH)])


async def freshness(org: Org, _campaign_id: str, _members: int) -> dict[str, Any]:
    """From a new contact's PUT until a draft's totalCount has it; leaves FRESH contacts more."""
    path, times = f"/campaigns/{await org.draft()}", []

    async def current() -> bool:
        shown = (await org.get("campaign", path))["targetAudience"].get("totalCount")
        return bool(shown == org.members)

    await until("totalCount", current, bool, seconds=FRESH_SECONDS)
    for number in range(1, FRESH + 1):
        at = perf_counter()
        await org.add(f"fresh-{number}", 100_000_000 + number)
        await until("totalCount", current, bool, seconds=FRESH_SECONDS, every=0.05)
        times.append(perf_counter() - at)
    return _latency(times)


async def _timed(org: Org, path: str) -> float:
    at = perf_counter()
    await org.get("execution", path)
    return perf_counter() - at


def _after(cursor: str | None) -> str:
    return f"&cursor={cursor}" if cursor else ""


def _latency(seconds: list[float]) -> dict[str, Any]:
    points = statistics.quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {
        "p50": round(points[9] * 1000, 1), "p95": round(points[18] * 1000, 1),
        "most": round(max(seconds) * 1000, 1), "times": len(seconds),
    }  # fmt: skip
