"""Which network addresses a webhook may reach: the guard against server-side request forgery.

Mental model: a subscriber chooses a URL, so it must not be able to choose one of our own machines.
A public address is always allowed. A private or loopback address is allowed only where the operator
says so (development). Everything else (link-local with the clouds' metadata service, multicast,
unspecified, reserved, translation prefixes that hide an IPv4 address) is never a subscriber.
Source: IANA special-purpose address registries, https://www.iana.org/assignments/iana-ipv4-special-registry
and https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_PRIVATE_V4 = tuple(
    map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_NEVER_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/3")))
"""Protocol assignments and 6to4 relays, parts of which Python calls global; multicast and reserved."""
_UNICAST_V6 = IPv6Network("2000::/3")
_NEVER_V6 = tuple(map(IPv6Network, ("2001::/23", "2002::/16", "3fff::/20")))
"""Teredo and other protocols, 6to4, documentation: each hides or means no public host."""


def is_allowed(address: str, *, allow_private: bool) -> bool:
    """Whether a webhook may connect to `address`, a literal without brackets. False for anything else."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv4Address):
        return _v4(parsed, allow_private)
    return _v6(parsed, allow_private)


def _v4(address: IPv4Address, allow_private: bool) -> bool:
    if any(address in network for network in _PRIVATE_V4):
        return allow_private
    return address.is_global and not any(address in network for network in _NEVER_V4)


def _v6(address: IPv6Address, allow_private: bool) -> bool:
    if address.scope_id is not None:
        return False
    if any(address in network for network in _PRIVATE_V6):
        return allow_private
    public = address in _UNICAST_V6 and address.is_global
    return public and not any(address in network for network in _NEVER_V6)
