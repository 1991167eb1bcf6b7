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
    ],
)
async def test_even_development_does_not_allow_everything(url: str):
    with pytest.raises(TargetRefused):
        await targets(allow_private=True).check(url)
