"""The network side of the SSRF guard at each connection: the HTTP client gets vetted addresses only.

Mental model: `GuardedResolver` hands the client only addresses that it has vetted itself, and `open_socket`
vets the very address that the socket is about to connect to, which covers IP literals and any way around
the resolver.
"""

import socket
from collections.abc import Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from webhook_service.adapters.targets import Lookup
from webhook_service.domain.addresses import is_allowed


class AddressRefused(OSError):
    """The host leads to an address that webhooks may not reach."""


class GuardedResolver(AbstractResolver):
    """Gives the HTTP client vetted addresses only."""

    def __init__(self, lookup: Lookup, *, allow_private: bool) -> None:
        self._lookup = lookup
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when the host has addresses, but none that is allowed."""
        addresses = await self._lookup(host, port)
        allowed = [item for item in addresses if is_allowed(item, allow_private=self._allow_private)]
        if addresses and not allowed:
            raise AddressRefused("the address is not allowed")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        """Nothing to close."""


def guarded_sockets(*, allow_private: bool) -> Callable[[Any], socket.socket]:
    """A socket factory for aiohttp that makes sockets for allowed addresses only.

    Its argument is an entry as `socket.getaddrinfo` answers it.
    """

    def open_socket(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, proto, _, address = info
        if not is_allowed(str(address[0]), allow_private=allow_private):
            raise AddressRefused("the address is not allowed")
        return socket.socket(family, kind, proto)

    return open_socket
