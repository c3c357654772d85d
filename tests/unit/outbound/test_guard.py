from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.addresses import is_translated, refuse
from outbound.guard import GuardedResolver, RefusedAddress, RefusedUrl, check_url

REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.100.100.200", "cloud metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "cloud metadata"),
    ("169.254.169.254", "cloud metadata"),
    ("169.254.1.1", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.192", "cloud metadata"),
    ("192.0.0.1", "protocol assignments"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("203.0.113.9", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "reserved"),
    ("::ffff:127.0.0.1", "IPv4-mapped"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b:1::1", "NAT64"),
    ("100::1", "reserved"),
    ("2001::1", "Teredo"),
    ("2001:20::1", "protocol assignments"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("3fff::1", "documentation"),
    ("fd00:ec2::254", "cloud metadata"),
    ("fd00::1", "private"),
    ("2600:1f00::5efe:a00:1", "ISATAP"),
    ("2600:1f00::200:5efe:808:808", "ISATAP"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "reserved"),
    ("ff02::1", "multicast"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2001:4860:4860::8888"]


@pytest.mark.parametrize(("address", "reason"), REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str, reason: str) -> None:
    assert refuse(address) == reason


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refuse(address) is None


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("10.1.2.3", True),
        ("10.2.2.3", False),
        ("fd00::7", True),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
    ],
)
def test_an_operator_can_allow_subnets(address: str, allowed: bool) -> None:
    subnets = [ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("fd00::/64")]
    assert (refuse(address, subnets) is None) == allowed


@pytest.mark.parametrize(
    ("address", "subnet", "reason"),
    [
        ("169.254.169.254", "169.254.0.0/16", "cloud metadata"),
        ("169.254.169.254", "169.254.169.254/32", None),
        ("100.100.100.200", "100.64.0.0/10", "cloud metadata"),
        ("fd00:ec2::254", "fd00::/8", "cloud metadata"),
        ("64:ff9b::8.8.8.8", "64:ff9b::/96", None),
        ("64:ff9b::10.0.0.1", "64:ff9b::/96", "private"),
        ("64:ff9b:1::10.0.0.1", "64:ff9b:1::/48", "private"),
        ("64:ff9b:1:a00:0:100::", "64:ff9b:1::/48", "unspecified"),
        ("2002:7f00:1::", "2002::/16", "loopback"),
        ("2001:0:808:808::f5ff:fffe", "2001::/32", "private"),
        ("::10.0.0.1", "::/96", "private"),
        ("::ffff:127.0.0.1", "::ffff:0:0/96", "loopback"),
    ],
)
def test_what_lies_behind_an_allowed_network_is_checked_too(address: str, subnet: str, reason: str | None) -> None:
    assert refuse(address, [ip_network(subnet)]) == reason


@pytest.mark.parametrize(
    ("address", "translated"), [("64:ff9b::8.8.8.8", True), ("64:ff9b::10.0.0.1", False), ("8.8.8.8", False)]
)
def test_the_address_that_dns64_adds_is_known(address: str, translated: bool) -> None:
    assert is_translated(address) is translated


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_nothing_passes_that_python_does_not_call_global(address: IPv4Address | IPv6Address) -> None:
    if refuse(str(address)) is None:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    ("url", "error_class"),
    [
        ("http://example.com/", "invalid_url"),
        ("ftp://example.com/", "invalid_url"),
        ("file:///etc/passwd", "invalid_url"),
        ("example.com/hook", "invalid_url"),
        ("", "invalid_url"),
        ("https://", "invalid_url"),
        ("https:///path", "invalid_url"),
        ("https://user@example.com/", "invalid_url"),
        ("https://user:pass@example.com/", "invalid_url"),
        ("https://:pass@example.com/", "invalid_url"),
        ("https://example.com:99999/", "invalid_url"),
        ("https://example.com:0/", "invalid_url"),
        ("https://127.1/", "invalid_url"),
        ("https://2130706433/", "invalid_url"),
        ("https://[::1/", "invalid_url"),
        ("https://127.0.0.1/", "refused_address"),
        ("https://169.254.169.254/latest/meta-data", "refused_address"),
        ("https://[::1]:8443/", "refused_address"),
        ("https://[::ffff:10.0.0.1]/", "refused_address"),
    ],
)
def test_a_url_that_may_not_be_called(url: str, error_class: str) -> None:
    with pytest.raises(RefusedUrl) as refused:
        check_url(url)
    assert refused.value.error_class == error_class
    assert "pass" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?token=a%2Fb",
        "https://example.com:8443/",
        "https://1.1.1.1/hook",
        "https://[2606:4700::1111]/hook",
        "https://bücher.example/hook",
    ],
)
def test_a_url_that_may_be_called(url: str) -> None:
    assert check_url(url).scheme == "https"


def test_development_allows_http_and_local_addresses() -> None:
    url = check_url("http://127.0.0.1:8000/hook", allow_http=True, allowed=[ip_network("127.0.0.0/8")])
    assert str(url) == "http://127.0.0.1:8000/hook"


def test_a_path_and_query_stay_as_they_are() -> None:
    assert check_url("https://example.com/a%2Fb?c=%20d#part").raw_path_qs == "/a%2Fb?c=%20d"


async def test_the_resolver_refuses_a_name_of_a_local_address() -> None:
    resolver = GuardedResolver()
    with pytest.raises(RefusedAddress, match="loopback"):
        await resolver.resolve("localhost", 443, socket.AF_INET)
    await resolver.close()


async def test_the_resolver_gives_allowed_addresses_to_connect_to() -> None:
    resolver = GuardedResolver([ip_network("127.0.0.0/8")])
    [found] = await resolver.resolve("localhost", 8443, socket.AF_INET)
    assert (found["host"], found["port"], found["hostname"]) == ("127.0.0.1", 8443, "localhost")
    await resolver.close()


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1"])
async def test_the_resolver_sees_through_other_ways_to_write_an_address(host: str) -> None:
    resolver = GuardedResolver()
    with pytest.raises(RefusedAddress, match="loopback"):
        await resolver.resolve(host, 443, socket.AF_INET)
    await resolver.close()
