"""Which URLs are accepted, and that a name is judged by all of its addresses."""

import pytest
from webhook_service.adapters.targets import NetworkTargets
from webhook_service.domain.errors import TargetRefused

NAMES = {
    "example.com": ["93.184.215.14"],
    "xn--bcher-kva.example": ["93.184.215.14", "2606:4700::1"],
    "inside.example": ["10.0.0.7"],
    "mixed.example": ["93.184.215.14", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
}


async def lookup(host: str, _port: int) -> list[str]:
    host = host.removesuffix(".")
    if host not in NAMES:
        raise OSError("Name or service not known")
    return NAMES[host]


def targets(*, allow_private: bool = False) -> NetworkTargets:
    return NetworkTargets(allow_private=allow_private, lookup=lookup, seconds=1)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/hooks?key=1",
        "HTTPS://EXAMPLE.com/",
        "https://bücher.example/",
        "https://93.184.215.14/",
        "https://[2606:4700:4700::1111]/x",
        "https://[::ffff:8.8.8.8]/",
        "https://example.com./",
        "https://example.com:/",
        "https://example.com:00443/",
        "https://example。com/",
        "https://example.com/?to=http://user@127.0.0.1/",
        "https://example.com/@127.0.0.1",
        "https://example.com#@127.0.0.1/",
    ],
)
async def test_a_public_https_url_is_accepted(url: str):
    await targets().check(url)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://example.com/", "must be https"),
        ("ftp://example.com/", "must be https"),
        ("file:///etc/passwd", "must be https"),
        ("example.com/hook", "must be https"),
        ("//example.com/", "must be https"),
        ("javascript:alert(1)", "must be https"),
        ("https:///path", "must name a host"),
        ("https://", "must name a host"),
        ("https://user@example.com/", "must not contain a user name or password"),
        ("https://user:pw@example.com/", "must not contain a user name or password"),
        ("https://example.com:0/", "must have a port between 1 and 65535"),
        ("https://example.com:99999/", "must be a valid URL"),
        ("https://example.com\\@evil.example/", "must"),
        ("https://exam ple.com/", "must not contain blanks"),
        ("https://example.com/\r\nX: y", "must not contain blanks"),
        ("https://example.com/\u0000", "must not contain blanks"),
        ("https://a%2fb/", "must name a valid host"),
        ("https://nowhere.example/", "must name a host that resolves"),
        ("https://localhost/", "must be a public address"),
        ("https://127.0.0.1/", "must be a public address"),
        ("https://[::1]/", "must be a public address"),
        ("https://[::ffff:127.0.0.1]/", "must be a public address"),
        ("https://[::ffff:7f00:1]/", "must be a public address"),
        ("https://[fe80::1%25lo]/", "must"),
        ("https://169.254.169.254/latest/meta-data", "must be a public address"),
        ("https://１２７.0.0.1/", "must be a public address"),
        ("https://127。0。0。1/", "must be a public address"),
        ("https://2130706433/", "must spell an address as four decimal numbers"),
        ("https://0x7f000001/", "must spell an address as four decimal numbers"),
        ("https://0177.0.0.1/", "must spell an address as four decimal numbers"),
        ("https://127.1/", "must spell an address as four decimal numbers"),
        ("https://127.0.0.1./", "must spell an address as four decimal numbers"),
        ("https://0/", "must spell an address as four decimal numbers"),
        ("https://00000177.0.0.1/", "must spell an address as four decimal numbers"),
        ("https://0x7f.0.0.0x1/", "must spell an address as four decimal numbers"),
        ("https://0xffffffff/", "must spell an address as four decimal numbers"),
        ("https://1.2.3.4.5/", "must spell an address as four decimal numbers"),
        ("https://256.256.256.256/", "must spell an address as four decimal numbers"),
        ("https://08.8.8.8/", "must spell an address as four decimal numbers"),
        ("https://a.0x1/", "must spell an address as four decimal numbers"),
        ("https://2130706433./", "must spell an address as four decimal numbers"),
        ("https://①②⑦.⓪.⓪.①/", "must be a public address"),
        ("https://ⓛocalhost/", "must be a public address"),
        ("https://LOCALHOST./", "must be a public address"),
        ("https://[::]/", "must be a public address"),
        ("https://[0:0:0:0:0:ffff:127.0.0.1]/", "must be a public address"),
        ("https://[::127.0.0.1]/", "must be a public address"),
        ("https://[64:ff9b::127.0.0.1]/", "must be a public address"),
        ("https://[64:ff9b:1::7f00:1]/", "must be a public address"),
        ("https://[2002:7f00:1::]/", "must be a public address"),
        ("https://[2001:0:53aa:64c::1]/", "must be a public address"),
        ("https://[fd00:ec2::254]/", "must be a public address"),
        ("https://168.63.129.16/", "must be a public address"),
        ("https://[2606:4700::1%25eth0]/", "must"),
        ("https://[2606:4700::1%eth0]/", "must"),
        ("https://[v1.x]/", "must"),
        ("https://[127.0.0.1]/", "must be a valid URL"),
        ("https://[::1/", "must be a valid URL"),
        ("https://::1/", "must be a valid URL"),
        ("https://example.com@127.0.0.1/", "must not contain a user name or password"),
        ("https://@example.com/", "must not contain a user name or password"),
        ("https://:@example.com/", "must not contain a user name or password"),
        ("https://127.0.0.1#@example.com/", "must be a public address"),
        ("https://127.0.0.1?@example.com/", "must be a public address"),
        ("https://127.0.0.1\\@example.com/", "must"),
        ("https://example.com\\.evil.example/", "must"),
        ("https://example.com%00.evil.example/", "must"),
        ("https://%31%32%37.0.0.1/", "must name a valid host"),
        ("https://a\u2100b.example/", "must be a valid URL"),
        ("https://ex\u200bample.com/", "must not contain blanks or control characters"),
        ("https://ex\u202eample.com/", "must not contain blanks or control characters"),
        ("https://exam\u00adple.com/", "must not contain blanks or control characters"),
        ("https://example..com/", "must name a valid host"),
        ("https://.example.com/", "must name a valid host"),
        ("https://example.com../", "must name a valid host"),
        ("https://./", "must name a valid host"),
        ("https://exam*ple.com/", "must name a valid host"),
        ("https://" + "a" * 64 + ".example/", "must name a valid host"),
        ("https://" + ".".join(["a" * 60] * 5) + "/", "must name a valid host"),
        ("https://example.com:00/", "must have a port between 1 and 65535"),
        ("https://example.com:65536/", "must be a valid URL"),
        ("https://example.com:-1/", "must be a valid URL"),
        ("https://example.com:+443/", "must name a valid host and port"),
        ("https://example.com:4_43/", "must name a valid host and port"),
        ("https://example.com:٤٤٣/", "must name a valid host and port"),
        ("https://example.com:80:443/", "must be a valid URL"),
        ("https:/example.com/", "must name a host"),
        ("https:example.com/", "must name a host"),
        ("https:\\\\example.com/", "must"),
        ("https://inside.example/", "must be a public address"),
        ("https://mixed.example/", "must be a public address"),
        ("https://mapped.example/", "must be a public address"),
        ("https://metadata.example/", "must be a public address"),
    ],
)
async def test_any_other_url_is_refused_with_the_rule_it_breaks(url: str, rule: str):
    with pytest.raises(TargetRefused) as refused:
        await targets().check(url)
    assert [item.field for item in refused.value.details] == ["url"]
    assert refused.value.details[0].message.startswith(rule)


@pytest.mark.parametrize(
    "url", ["http://localhost:9000/", "http://127.0.0.1:1/", "http://[::1]/", "https://inside.example"]
)
async def test_development_allows_http_and_private_networks(url: str):
    await targets(allow_private=True).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://metadata.example/",
        "http://169.254.169.254/",
        "http://0.0.0.0/",
        "ftp://localhost/",
        "http://127.1/",
        "http://user@localhost/",
        "http://localhost:0/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://[64:ff9b::7f00:1]/",
    ],
)
async def test_even_development_does_not_allow_everything(url: str):
    with pytest.raises(TargetRefused):
        await targets(allow_private=True).check(url)
