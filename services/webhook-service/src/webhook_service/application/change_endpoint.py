"""Change an endpoint, or replace its secret.

Mental model: read, revise, store on the condition that the version is still the one that was read; who lost
a race begins again with what the winner stored.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta

from service_kit.ports import Transactions, Tx

from webhook_service.application.create_endpoint import Wish
from webhook_service.application.disable_endpoint import park_waiting
from webhook_service.application.endpoint_secrets import new_secret
from webhook_service.application.ports import ApiPorts
from webhook_service.application.read_endpoints import find_endpoint
from webhook_service.domain.endpoint import Endpoint, Secret, header_owner, secret_owner
from webhook_service.domain.errors import (
    MAX_SECRETS,
    HeaderRefused,
    PreconditionFailed,
    TooManySecrets,
    VersionConflict,
)
from webhook_service.domain.headers import MASK

ATTEMPTS = 5
OVERLAP = timedelta(hours=24)
"""How long a replaced secret still signs: time to tell every receiver the new one."""


async def change_endpoint(
    org: str,
    endpoint_id: str,
    revise: Callable[[Endpoint], Wish],
    *,
    versions: Collection[int] | None,
    ports: ApiPorts,
) -> Endpoint:
    """The endpoint as `revise` wants it; `versions`: which ones may be changed, None means any.

    Raises EndpointNotFound, PreconditionFailed, VersionConflict, TargetRefused, HeaderRefused, and what
    `revise` raises. Switched off, what waits for it is parked; switched on, what is parked stays so until
    it is recovered.
    """
    for _ in range(ATTEMPTS):
        before = await find_endpoint(org, endpoint_id, ports=ports)
        if versions is not None and before.version not in versions:
            raise PreconditionFailed
        wish = revise(before)
        if wish.url != before.url:
            await ports.targets.check(wish.url)
        after = _revised(before, wish, ports)
        if after == before:
            return before
        after = replace(after, version=before.version + 1, updated_at=ports.clock.now())
        try:
            await _save(before, after, ports, ports.transactions)
        except VersionConflict:
            continue
        if not after.active:
            # After a crash before this line the deliverer parks each one as it comes due.
            await park_waiting(after, endpoints=ports.endpoints, deliveries=ports.deliveries)
        return after
    raise VersionConflict


def _revised(before: Endpoint, wish: Wish, ports: ApiPorts) -> Endpoint:
    enabled = wish.active and not before.active
    afresh = _begins_afresh(before, wish)
    return replace(
        before,
        url=wish.url,
        events=wish.events,
        campaign_ids=wish.campaign_ids,
        description=wish.description,
        active=wish.active,
        ordered=wish.ordered,
        rate_limit=wish.rate_limit,
        headers={
            name: _header(before, name, value, moved=wish.url != before.url, ports=ports)
            for name, value in wish.headers.items()
        },
        disabled_reason=None if enabled else before.disabled_reason,
        failing_since=None if afresh else before.failing_since,
    )


def _begins_afresh(before: Endpoint, after: Wish | Endpoint) -> bool:
    """Whether what was noted of it says nothing of it any more."""
    return (after.active and not before.active) or after.url != before.url


def _header(before: Endpoint, name: str, value: str, *, moved: bool, ports: ApiPorts) -> str:
    """The sealed value. Who may not read a value must not get it sent to a server of their own either."""
    if value != MASK:
        return ports.secrets.seal(value, owner=header_owner(before.org, before.id, name))
    if name not in before.headers:
        raise HeaderRefused(name, "must have a value")
    if moved:
        raise HeaderRefused(name, "must be given anew with another url")
    return before.headers[name]


async def rotate_secret(
    org: str, endpoint_id: str, *, ports: ApiPorts, transactions: Transactions
) -> tuple[Endpoint, str]:
    """The endpoint and its new secret in the clear; the one before signs, too, for OVERLAP.

    Raises EndpointNotFound, TooManySecrets, VersionConflict.
    """
    for _ in range(ATTEMPTS):
        before = await find_endpoint(org, endpoint_id, ports=ports)
        now = ports.clock.now()
        valid = before.valid_secrets(now)
        if len(valid) >= MAX_SECRETS:
            raise TooManySecrets
        secret = new_secret()
        sealed = Secret(ports.secrets.seal(secret, owner=secret_owner(org, endpoint_id)))
        older = tuple(replace(item, expires_at=item.expires_at or now + OVERLAP) for item in valid)
        after = replace(before, secrets=(sealed, *older), version=before.version + 1, updated_at=now)
        try:
            return await _save(before, after, ports, transactions, secret)
        except VersionConflict:
            continue
    raise VersionConflict


async def _save(
    before: Endpoint, after: Endpoint, ports: ApiPorts, transactions: Transactions, secret: str = ""
) -> tuple[Endpoint, str]:
    async def work(tx: Tx) -> tuple[Endpoint, str]:
        afresh = _begins_afresh(before, after)
        await ports.endpoints.save(tx, after, expected_version=before.version, afresh=afresh)
        return after, secret

    return await transactions.run(work)
