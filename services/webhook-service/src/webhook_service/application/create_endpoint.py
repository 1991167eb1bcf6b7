"""Subscribe a URL to events."""

import base64
import secrets as random_bytes
from dataclasses import dataclass

from contracts.ids import new_id
from service_kit.ports import Transactions, Tx

from webhook_service.application.ports import ApiPorts
from webhook_service.domain.endpoint import Endpoint, secret_owner

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """The wish: `events` are types, or `*` alone for all."""

    org: str
    url: str
    events: tuple[str, ...]
    description: str
    active: bool


async def create_endpoint(
    command: CreateEndpoint, *, ports: ApiPorts, transactions: Transactions
) -> tuple[Endpoint, str]:
    """The stored endpoint and its secret in the clear, which is never shown again. Raises TargetRefused."""
    await ports.targets.check(command.url)
    endpoint_id = new_id("wh")
    secret = "whsec_" + base64.b64encode(random_bytes.token_bytes(SECRET_BYTES)).decode()
    now = ports.clock.now()
    endpoint = Endpoint(
        id=endpoint_id,
        org=command.org,
        url=command.url,
        events=command.events,
        description=command.description,
        active=command.active,
        secret_sealed=ports.secrets.seal(secret, owner=secret_owner(command.org, endpoint_id)),
        created_at=now,
        updated_at=now,
    )

    async def work(tx: Tx) -> tuple[Endpoint, str]:
        await ports.endpoints.add(tx, endpoint)
        return endpoint, secret

    return await transactions.run(work)
