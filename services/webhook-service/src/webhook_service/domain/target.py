"""The rules for a webhook's URL that need no network: scheme, host, spelling."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from webhook_service.domain.addresses import is_allowed

MAX_URL_LENGTH = 2048
KEPT_HOSTS = 10_000
MAX_HOST_LENGTH = 253
_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]*)?")
"""Brackets are for IPv6 alone. Ports have these digits alone: `int` reads `+443`, `4_43` and `٤٤٣` too."""
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as the HTTP client reads it: lower-case `scheme`, `host` in ASCII without brackets.

    `authority` is what stands between `//` and the path, as it was written.
    """

    scheme: str
    host: str
    port: int | None
    authority: str


@lru_cache(KEPT_HOSTS)
def is_address(host: str) -> bool:
    """Whether `host` is an IP address in its one canonical form."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def broken_rule(target: Target, *, allow_private: bool) -> str | None:
    """The first rule that `target` breaks, as a sentence part, or None."""
    if target.scheme != "https" and not (allow_private and target.scheme == "http"):
        return "must be http or https" if allow_private else "must be https"
    if not target.host:
        return "must name a host"
    if "@" in target.authority:
        return "must not contain a user name or password"
    if not target.port:
        return "must have a port between 1 and 65535"
    if not _AUTHORITY.fullmatch(target.authority):
        return "must name a valid host and port"
    return _broken_host_rule(target.host, allow_private)


def _broken_host_rule(host: str, allow_private: bool) -> str | None:
    if is_address(host):
        return None if is_allowed(host, allow_private=allow_private) else "must be a public address"
    if not _HOST_NAME.fullmatch(host) or len(host.removesuffix(".")) > MAX_HOST_LENGTH:
        return "must name a valid host"
    # 2130706433, 127.1, 0x7f.0.0.1: other spellings of addresses, which programs read differently.
    if _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        return "must spell an address as four decimal numbers"
    return None
