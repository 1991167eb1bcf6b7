"""The network side of the SSRF guard at each connection: what was vetted for it is what is connected to.

Mental model: `vetted` answers only when every address of a host is allowed, and the client connects to
these literals, never to the name. `guarded_sockets` vets once more the very address that a socket is about
to connect to, whoever asks for it.
"""

import socket
from collections.abc import Callable
from typing import Any

from webhook_service.adapters.targets import Lookup
from webhook_service.domain.addresses import is_allowed
from webhook_service.domain.target import is_address


class AddressRefused(OSError):
    """The host leads to an address that webhooks may not reach."""

    def __init__(self) -> None:
        super().__init__("the address is not allowed")


async def vetted(lookup: Lookup, host: str, port: int, *, allow_private: bool) -> list[str]:
    """All addresses of `host`. Raises AddressRefused when one of them is not allowed, OSError without any."""
    addresses = [host] if is_address(host) else await lookup(host, port)
    if not all(is_allowed(address, allow_private=allow_private) for address in addresses):
        raise AddressRefused
    if not addresses:
        raise OSError("the host has no address")
    return addresses


def guarded_sockets(*, allow_private: bool) -> Callable[[Any], socket.socket]:
    """A factory of sockets for allowed addresses only.

    Its argument is an entry as `socket.getaddrinfo` answers it.
    """

    def open_socket(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, proto, _, address = info
        if not is_allowed(str(address[0]), allow_private=allow_private):
            raise AddressRefused
        return socket.socket(family, kind, proto)

    return open_socket
