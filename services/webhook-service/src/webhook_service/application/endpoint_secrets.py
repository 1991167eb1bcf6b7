"""An endpoint's secrets and headers, made, sealed and opened. In the clear they are in memory only."""

import base64
import secrets as random_bytes
from collections.abc import Mapping
from datetime import datetime

from webhook_service.application.ports import Secrets
from webhook_service.domain.endpoint import Endpoint, header_owner, secret_owner

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


def new_secret() -> str:
    """A signing secret as subscribers get it: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(random_bytes.token_bytes(SECRET_BYTES)).decode()


def seal_headers(
    headers: Mapping[str, str], *, org: str, endpoint_id: str, secrets: Secrets
) -> dict[str, str]:
    """Each value encrypted for its own header of its own endpoint."""
    return {
        name: secrets.seal(value, owner=header_owner(org, endpoint_id, name))
        for name, value in headers.items()
    }


def signing_secrets(endpoint: Endpoint, now: datetime, *, secrets: Secrets) -> list[str]:
    """In the clear, all that sign at `now`, the newest first."""
    owner = secret_owner(endpoint.org, endpoint.id)
    return [secrets.open(item.sealed, owner=owner) for item in endpoint.valid_secrets(now)]


def own_headers(endpoint: Endpoint, *, secrets: Secrets) -> dict[str, str]:
    """In the clear, the headers that the subscriber asked for."""
    return {
        name: secrets.open(sealed, owner=header_owner(endpoint.org, endpoint.id, name))
        for name, sealed in endpoint.headers.items()
    }
