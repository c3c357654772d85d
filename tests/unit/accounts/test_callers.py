"""Who posted a callback, behind which proxies, whatever the header claims."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from accounts.callers import MOST_PROXIES, UNKNOWN, Proxies
from ingest.settings import IngestSettings

PROXIES = "127.0.0.1, 10.0.0.0/8, 2001:db8:ffff::/48"


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        # no proxy
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("2001:DB8:0::7", [], "2001:db8::7"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        (None, ["198.51.100.1"], UNKNOWN),
        ("/run/ingest.sock", ["198.51.100.1"], UNKNOWN),
        # one proxy, and chains of them
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.9.9.9"], "203.0.113.7"),
        ("2001:db8:ffff::1", ["203.0.113.7,10.9.9.9,127.0.0.1"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        # what stands before the first stranger was written by him
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["127.0.0.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("127.0.0.1", ["unknown, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, " * 9_000 + "203.0.113.7"], "203.0.113.7"),
        # no chain of proxies is that long
        ("127.0.0.1", ["203.0.113.7, " + "127.0.0.1, " * (MOST_PROXIES - 1)], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, " + "127.0.0.1, " * MOST_PROXIES], UNKNOWN),
        # how addresses are written
        ("127.0.0.1", ["2001:DB8::7"], "2001:db8::7"),
        ("127.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("127.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("127.0.0.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("127.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
        ("127.0.0.1", [" 203.0.113.7 ,, "], "203.0.113.7"),
        # a proxy that does not say
        ("127.0.0.1", ["unknown"], UNKNOWN),
        ("127.0.0.1", ["_hidden"], UNKNOWN),
        ("127.0.0.1", ["198.51.100.1, unknown"], UNKNOWN),
        ("127.0.0.1", ["203.0.113.7:port"], UNKNOWN),
        ("127.0.0.1", ["[2001:db8::7"], UNKNOWN),
        ("127.0.0.1", ["example.com"], UNKNOWN),
    ],
)
def test_the_caller_is_the_first_address_from_the_end_that_is_no_proxy(
    peer: str | None, forwarded: list[str], caller: str
) -> None:
    assert Proxies(PROXIES).caller(peer, forwarded) == caller


@pytest.mark.parametrize(
    ("forwarded", "caller"),
    [
        ([], "192.0.2.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, unknown"], UNKNOWN),
    ],
)
def test_when_every_peer_is_a_proxy_only_the_last_address_is_believed(forwarded: list[str], caller: str) -> None:
    assert Proxies("*").caller("192.0.2.1", forwarded) == caller


def test_without_proxies_the_header_says_nothing() -> None:
    assert Proxies("").caller("127.0.0.1", ["203.0.113.7"]) == "127.0.0.1"


@pytest.mark.parametrize("setting", ["proxy.example.com", "10.0.0/8", "127.0.0.1, *"])
def test_a_proxy_that_is_no_network_is_refused_at_the_start(setting: str) -> None:
    with pytest.raises(ValidationError):
        IngestSettings(forwarded_allow_ips=setting)
