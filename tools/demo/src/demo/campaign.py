"""The contract's Summer Sale campaign, and what it needs before it can run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contracts.envelope import format_time

from demo.api import Api, DemoError

BOT_TOKEN = "7000000001:demo-token-that-only-the-simulator-knows"  # noqa: S105 - not a secret anywhere
RATE = 1000
SEGMENTS = {"seg_customers": "Premium Users", "seg_newsletter": "Newsletter readers"}


async def prepare_audience(api: Api, contacts: Path) -> dict[str, Any]:
    """Segments and contacts; the import's own numbers."""
    for segment_id, name in SEGMENTS.items():
        await api.call("POST", "/segments", json={"id": segment_id, "name": name}, allow=(409,))
    with contacts.open("rb") as file:
        answer: dict[str, Any] = await api.call(
            "POST",
            "/contacts/import",
            content=_chunks(file),
            headers={"Content-Type": "text/csv"},
            timeout=300,
        )
    if answer["rejected"]:
        raise DemoError(f"the import rejected {answer['rejected']} lines: {answer['errors'][:3]}")
    return answer


async def _chunks(file: Any) -> Any:
    while chunk := file.read(65536):
        yield chunk


async def register_bot(api: Api) -> None:
    """The org's bot; it may be there from an earlier run."""
    body = {"name": "Demo bot", "token": BOT_TOKEN, "limits": {"perSecond": RATE}, "default": True}
    await api.call("POST", "/bots", json=body, allow=(409,))


async def create_campaign(api: Api, now: datetime) -> str:
    """The template and the campaign; the campaign's id."""
    template = await api.call("POST", "/templates", json={
        "name": "Summer Sale",
        "parseMode": "HTML",
        "content": "🌞 <b>Summer Sale!</b> Hi {{firstName|there}}, get 30% off on all items!",
    })  # fmt: skip
    campaign = await api.call("POST", "/campaigns", json=definition(template["id"], now))
    return str(campaign["id"])


def definition(template_id: str, now: datetime) -> dict[str, Any]:
    """The contract's example, its dates moved around `now`."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "name": "Summer Sale Campaign",
        "description": "Promotional campaign for summer products",
        "type": "message",
        "goals": {"targetAudience": 10000, "conversionRate": 5, "revenue": 50000},
        "targetAudience": {"segments": list(SEGMENTS)},
        "strategy": {
            "messaging": "Focus on discount offers",
            "timing": "Send during peak hours",
            "channels": ["telegram"],
        },
        "messages": [
            {
                "templateId": template_id,
                "personalization": {"enabled": True, "fields": ["firstName"]},
                "variations": [
                    {
                        "id": "var1",
                        "content": "☀️ Hot Summer Deals! Save 30% today, {{firstName|friend}}!",
                        "weight": 50,
                    }
                ],
            }
        ],
        "budget": 5000,
        "startDate": format_time(today - timedelta(days=7)),
        "endDate": format_time(today + timedelta(days=60)),
    }
