"""Subscribe a URL to events."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.ids import new_id
from service_kit.ports import Transactions, Tx

from webhook_service.application.endpoint_secrets import new_secret, seal_headers
from webhook_service.application.ports import ApiPorts
from webhook_service.domain.endpoint import Endpoint, Secret, secret_owner
from webhook_service.domain.errors import HeaderRefused, TooManyEndpoints
from webhook_service.domain.headers import MASK


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner decides about an endpoint. `events` are types, or `*` alone for all; `headers` in the
    clear.
    """

    url: str
    events: tuple[str, ...]
    campaign_ids: tuple[str, ...] = ()
    description: str = ""
    active: bool = True
    ordered: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int | None = None


async def create_endpoint(
    org: str, wish: Wish, *, ports: ApiPorts, transactions: Transactions
) -> tuple[Endpoint, str]:
    """The stored endpoint and its secret in the clear, which is never shown again.

    Raises TooManyEndpoints, TargetRefused, HeaderRefused. Creations at the same moment may go a little over
    the limit: it bounds what an event costs, and need not be exact.
    """
    await _check(org, wish, ports)
    endpoint_id = new_id("wh")
    secret = new_secret()
    now = ports.clock.now()
    endpoint = Endpoint(
        id=endpoint_id,
        org=org,
        url=wish.url,
        events=wish.events,
        campaign_ids=wish.campaign_ids,
        description=wish.description,
        active=wish.active,
        ordered=wish.ordered,
        headers=seal_headers(wish.headers, org=org, endpoint_id=endpoint_id, secrets=ports.secrets),
        rate_limit=wish.rate_limit,
        secrets=(Secret(ports.secrets.seal(secret, owner=secret_owner(org, endpoint_id))),),
        created_at=now,
        updated_at=now,
    )

    async def work(tx: Tx) -> tuple[Endpoint, str]:
        await ports.endpoints.add(tx, endpoint)
        return endpoint, secret

    return await transactions.run(work)


async def _check(org: str, wish: Wish, ports: ApiPorts) -> None:
    if await ports.endpoints.count(org, limit=ports.max_endpoints) >= ports.max_endpoints:
        raise TooManyEndpoints(ports.max_endpoints)
    masked = next((name for name, value in wish.headers.items() if value == MASK), None)
    if masked is not None:
        raise HeaderRefused(masked, "must have a value")
    await ports.targets.check(wish.url)
