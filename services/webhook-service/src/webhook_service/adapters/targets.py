"""The network side of the SSRF guard at the creation of an endpoint: names are resolved and vetted.

Mental model: at creation a URL is parsed by the same library that the HTTP client uses, so both see the
same host, and every address of the host must be allowed. That proves nothing about later, since DNS may
answer differently then: `guarded_connections` vets again at each connection.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence

import aiodns
from yarl import URL

from webhook_service.domain.addresses import is_allowed
from webhook_service.domain.errors import TargetRefused
from webhook_service.domain.target import Target, broken_rule, is_address

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host, as literals. Raises OSError when there are none."""

_QUERY_SECONDS = 2.0
_QUERIES = 4
"""So long for the first answer at most, then longer; a name that is never answered does not resolve."""


class SystemLookup:
    """A Lookup by the hosts file and the system's name servers (or `servers`). An answer is good for its TTL.

    It waits without a thread: a hundred names whose servers are silent delay nobody's, which `getaddrinfo` on
    any number of threads would. Make it inside the event loop; close it at the end.
    """

    def __init__(self, servers: Sequence[str] | None = None) -> None:
        self._resolver = aiodns.DNSResolver(servers, timeout=_QUERY_SECONDS, tries=_QUERIES)

    async def __call__(self, host: str, port: int) -> list[str]:
        """Raises OSError when there are no addresses."""
        try:
            found = await self._resolver.getaddrinfo(host, socket.AF_UNSPEC, port, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            raise OSError("the host does not resolve") from error
        return [node.addr[0].decode() for node in found.nodes]

    async def close(self) -> None:
        """Give up what is still asked."""
        await self._resolver.close()


def parse(url: str) -> Target:
    """`url` as the HTTP client reads it. Raises TargetRefused when it cannot."""
    try:
        parsed = URL(url)
    except ValueError as error:
        raise TargetRefused("must be a valid URL") from error
    return Target(
        scheme=parsed.scheme,
        host=parsed.raw_host or "",
        port=parsed.port,
        authority=re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0],
    )


class NetworkTargets:
    """The Targets port, and the rules for URLs at the moment of sending."""

    def __init__(self, *, allow_private: bool, lookup: Lookup, seconds: float) -> None:
        self._allow_private = allow_private
        self._lookup = lookup
        self._seconds = seconds

    def parse_allowed(self, url: str) -> Target:
        """`url`, if it keeps the rules that need no network. Raises TargetRefused."""
        if any(character.isspace() or not character.isprintable() for character in url):
            raise TargetRefused("must not contain blanks or control characters")
        target = parse(url)
        rule = broken_rule(target, allow_private=self._allow_private)
        if rule is not None:
            raise TargetRefused(rule)
        return target

    async def check(self, url: str) -> None:
        """Raises TargetRefused for a URL that breaks a rule, does not resolve, or leads to us."""
        target = self.parse_allowed(url)
        if is_address(target.host):
            return
        try:
            async with asyncio.timeout(self._seconds):
                addresses = await self._lookup(target.host, target.port or 0)
        except (OSError, UnicodeError) as error:
            raise TargetRefused("must name a host that resolves") from error
        if not addresses:
            raise TargetRefused("must name a host that resolves")
        if not all(is_allowed(address, allow_private=self._allow_private) for address in addresses):
            raise TargetRefused("must be a public address")
