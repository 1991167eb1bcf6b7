"""What the document says about the API as a whole."""

from typing import Any

TITLE = "Campaigns API"
VERSION = "1"
DESCRIPTION = """\
Create, run and measure marketing campaigns that are sent through Telegram.

**Answers.** A success is `{"success": true, "data": …}`. An error is
`{"success": false, "error": {"code", "message", "details"}, "requestId"}`; `details` names fields and the
rules that they break. Beside the answers that each operation lists, any of them may answer 500 `INTERNAL`
(a bug on our side), 502 `BAD_GATEWAY` or 504 `GATEWAY_TIMEOUT` (the service behind the address does not
answer), in the same envelope. Every answer carries `X-Request-Id`, which finds the request in the logs.

**Who may what.** `Authorization: Bearer <JWT>` with `sub`, `org` and `role`. A `viewer` reads, an `editor`
does everything but secrets, tokens and erasure, an `admin` all; each operation names the least role.
Everything belongs to one organisation; another's id answers 404.

**Repeating.** An operation that takes `Idempotency-Key` may be sent again with the same key and body for
24 hours: it gives the first answer again and does nothing twice.

**Times** are ISO 8601 in UTC with `Z`. **Text** is Unicode in NFC without control characters but newline
and tab. **Bodies** are JSON of at most 512 KiB; unknown fields are refused, and what GET shows and nobody
may set is accepted and ignored.

**Lists** take `page` and `limit` and answer `pagination`, or take `cursor` and answer `nextCursor`, which
is null at the end.
"""
TAGS = {
    "campaigns": "Define campaigns, run them, follow them.",
    "templates": "Texts that several campaigns share.",
    "statistics": "What came of a campaign.",
    "tracking": "The links behind the buttons of messages.",
    "conversions": "What contacts did after a click or a message, told by your back end.",
    "contacts": "The people that campaigns reach.",
    "segments": "Groups of contacts.",
    "bots": "The Telegram bots that send.",
    "settings": "What holds for all campaigns of the organisation.",
    "webhooks": "Be told of events, signed as Standard Webhooks are.",
}
"""In the order of the reference page. An operation's tag must be among them."""


def head(openapi: str) -> dict[str, Any]:
    """The document without its operations."""
    return {
        "openapi": openapi,
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
    }
