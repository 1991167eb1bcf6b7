"""Which network addresses a webhook may reach: the guard against server-side request forgery.

Mental model: a subscriber chooses a URL, so it must not be able to choose one of our own machines.
A public address is always allowed. A private or loopback address is allowed only where the operator
says so (development). Everything else (the clouds' metadata services, link-local, multicast,
unspecified, reserved, translation prefixes that hide an IPv4 address) is never a subscriber.
Source: IANA special-purpose address registries, https://www.iana.org/assignments/iana-ipv4-special-registry
and https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

KEPT_ADDRESSES = 10_000
_PRIVATE_V4 = tuple(
    map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_METADATA_V4 = tuple(map(IPv4Network, ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32")))
_METADATA_V6 = tuple(map(IPv6Network, ("fd00:ec2::/32", "fd20:ce::/32")))
"""Where clouds tell a machine its secrets: link-local in general, Azure's public, Alibaba's shared, AWS's and
Google's unique local addresses. Never a subscriber, not even in development."""
_NEVER_V4 = (*map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/3")), *_METADATA_V4)
"""Protocol assignments and 6to4 relays, parts of which Python calls global; multicast and reserved."""
_UNICAST_V6 = IPv6Network("2000::/3")
_NEVER_V6 = (*map(IPv6Network, ("2001::/23", "2002::/16", "3fff::/20")), *_METADATA_V6)
"""Teredo and other protocols, 6to4, documentation: each hides or means no public host."""


@lru_cache(KEPT_ADDRESSES)
def is_allowed(address: str, *, allow_private: bool) -> bool:
    """Whether a webhook may connect to `address`, a literal without brackets. False for anything else."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            return False
        parsed = parsed.ipv4_mapped or parsed
    if isinstance(parsed, IPv4Address):
        return _v4(parsed, allow_private)
    return _v6(parsed, allow_private)


def _v4(address: IPv4Address, allow_private: bool) -> bool:
    if any(address in network for network in _NEVER_V4):
        return False
    return address.is_global or (allow_private and any(address in network for network in _PRIVATE_V4))


def _v6(address: IPv6Address, allow_private: bool) -> bool:
    if any(address in network for network in _NEVER_V6):
        return False
    if any(address in network for network in _PRIVATE_V6):
        return allow_private
    return address in _UNICAST_V6 and address.is_global
