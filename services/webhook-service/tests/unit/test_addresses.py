"""Which addresses a webhook may reach."""

import pytest
from webhook_service.domain.addresses import is_allowed

PUBLIC = [
    "168.63.129.17",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "223.255.255.255",
    "2001:200::1",
    "8.8.8.8",
    "1.1.1.1",
    "203.1.113.7",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1",
]  # fmt: skip
NEVER = [
    # metadata services: AWS and most others, Azure, Alibaba, Oracle, AWS and Google by IPv6
    "169.254.169.254", "168.63.129.16", "::ffff:168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254",
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64 (well-known and local), 6to4, Teredo, ISATAP
    "::ffff:0.0.0.0", "::ffff:255.255.255.255", "::10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8",
    "64:ff9b:1:ffff::10.0.0.1", "2002:a00:1::1", "2002:808:808::1", "2001:0:a00:1::1", "2001:0:4136:e378::", "fe80::5efe:10.0.0.1",
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.8", "192.0.0.10", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "ff0e::1", "::127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1",
    "5f00::1", "::ffff:0:127.0.0.1", "2606:4700::1%eth0",
    # other spellings, which programs read differently
    "017700000001", "127.0.1", "127.0.0.01", "0127.0.0.1", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1/8", "127.0.0.1:80", "127.0.0.1\n", "١٢٧.0.0.1",
    "::ffff:127.0.0.1%1", "::1/128", "0:0:0:0:0:ffff:7f00:1:0",
    "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.1.", "localhost", "", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("allow_private", [True, False])
def test_a_public_address_is_always_allowed(address: str, allow_private: bool):
    assert is_allowed(address, allow_private=allow_private)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_allowed_only_where_the_operator_says_so(address: str):
    assert not is_allowed(address, allow_private=False)
    assert is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [True, False])
def test_everything_else_is_never_allowed(address: str, allow_private: bool):
    assert not is_allowed(address, allow_private=allow_private)
