"""Every hostile URL and DNS answer of tests/data/hostile_targets.toml is refused, with the reason."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from outbound.guard import GuardedResolver, RefusedAddress, RefusedUrl, check_url
from outbound.sender import Sender

TARGETS = tomllib.loads((Path(__file__).parents[2] / "data" / "hostile_targets.toml").read_text("utf-8"))
URLS: list[dict[str, Any]] = TARGETS["url"]
ANSWERS: list[dict[str, Any]] = TARGETS["answer"]


class Lookup:
    """Stands in for `socket.getaddrinfo`: gives one answer for every name, and counts the calls."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    def __call__(self, host: bytes, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        self.asked.append(host.decode())
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in self.addresses
        ]


@pytest.fixture
async def sender(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sender]:
    """A sender that fails the test when it opens a connection."""

    async def connect(*arguments: object, **_: object) -> None:
        raise AssertionError(f"connects to {arguments}")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    sender = Sender()
    await sender.start()
    yield sender
    await sender.stop()


def url_of(answer: dict[str, Any]) -> str:
    return f"https://{answer.get('name', 'example.com')}:{answer.get('port', 443)}/"


def test_there_are_enough() -> None:
    assert len(URLS) + len(ANSWERS) >= 60


@pytest.mark.parametrize("entry", URLS, ids=lambda entry: ascii(entry["text"]))
async def test_a_hostile_url_is_refused(entry: dict[str, Any], sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = Lookup("1.1.1.1")
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(RefusedUrl) as refused:
        check_url(entry["text"])
    assert entry["reason"] in str(refused.value)
    outcome = await sender.post(entry["text"], {}, b"{}")
    assert outcome.error_class == refused.value.error_class
    assert lookup.asked == []


@pytest.mark.parametrize("entry", ANSWERS, ids=lambda entry: f"{url_of(entry)} {entry['addresses']}")
async def test_a_hostile_dns_answer_is_refused(
    entry: dict[str, Any], sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Lookup(*entry["addresses"]))
    resolver = GuardedResolver()
    url = check_url(url_of(entry))
    with pytest.raises(RefusedAddress) as refused:
        await resolver.resolve(url.raw_host or "", url.port or 0)
    await resolver.close()
    assert entry["reason"] in str(refused.value)
    assert (await sender.post(url_of(entry), {}, b"{}")).error_class == "refused_address"


async def test_very_long_urls_and_names_are_refused() -> None:
    for url in ("https://example.com/" + "a" * 2_048, "https://" + "a." * 127 + "example/"):
        with pytest.raises(RefusedUrl, match=r"longer than|not a valid name"):
            check_url(url)


async def test_a_trailing_dot_is_taken_off() -> None:
    assert str(check_url("https://example.com./a?b=c")) == "https://example.com/a?b=c"


async def test_addresses_of_dns64_beside_public_ones_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Lookup("64:ff9b::1.1.1.1", "1.1.1.1"))
    resolver = GuardedResolver()
    assert [found["host"] for found in await resolver.resolve("example.com", 443)] == ["1.1.1.1"]
    await resolver.close()


async def test_any_port_is_open_where_the_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Lookup("1.1.1.1"))
    resolver = GuardedResolver(ports=None)
    assert [found["port"] for found in await resolver.resolve("example.com", 25)] == [25]
    await resolver.close()
    assert check_url("https://1.1.1.1:25/", ports=None).port == 25
