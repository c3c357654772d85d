from __future__ import annotations

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from sinks.settings import SinksSettings


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "unused:9092")
    settings = SinksSettings()
    assert settings.webhook_timeout == 5.0
    assert settings.in_flight_per_endpoint == 16
    assert settings.window_events == 20_000
    assert settings.window_bytes == 64 * 1024 * 1024
    assert settings.allow_http is False
    assert settings.allow_subnets == ()
    assert settings.port == 0


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("TRACKLY_WEBHOOK_TIMEOUT", "2.5", "webhook_timeout", 2.5),
        ("TRACKLY_IN_FLIGHT_PER_ENDPOINT", "4", "in_flight_per_endpoint", 4),
        ("TRACKLY_WINDOW_EVENTS", "100", "window_events", 100),
        ("TRACKLY_WINDOW_BYTES", "1000", "window_bytes", 1_000),
        ("TRACKLY_ALLOW_HTTP", "true", "allow_http", True),
        (
            "TRACKLY_ALLOW_SUBNETS",
            "127.0.0.0/8, fd00::/8",
            "allow_subnets",
            (ip_network("127.0.0.0/8"), ip_network("fd00::/8")),
        ),
        ("TRACKLY_SINKS_PORT", "9102", "port", 9102),
        ("TRACKLY_WEBHOOK_PORTS", "443, 8443", "webhook_ports", frozenset({443, 8443})),
        ("TRACKLY_WEBHOOK_PORTS", "any", "webhook_ports", None),
    ],
)
def test_environment(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "unused:9092")
    monkeypatch.setenv(variable, text)
    assert getattr(SinksSettings(), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TRACKLY_WEBHOOK_TIMEOUT", "0"),
        ("TRACKLY_IN_FLIGHT_PER_ENDPOINT", "0"),
        ("TRACKLY_WINDOW_EVENTS", "0"),
        ("TRACKLY_ALLOW_SUBNETS", "127.0.0.1/8"),
        ("TRACKLY_ALLOW_SUBNETS", "localhost"),
        ("TRACKLY_SINKS_PORT", "70000"),
        ("TRACKLY_WEBHOOK_PORTS", "https"),
        ("TRACKLY_WEBHOOK_PORTS", "0"),
        ("TRACKLY_REPLAY_RATE", "0"),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "unused:9092")
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValidationError, match=variable):
        SinksSettings()
