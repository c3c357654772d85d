"""Settings of the sinks service."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from pydantic import Field, field_validator

from bus.settings import BusSettings
from sinks.guard import WEB_PORTS


class SinksSettings(BusSettings):
    """What sinks needs beside the Kafka settings."""

    webhook_timeout: float = Field(
        default=5.0,
        gt=0,
        le=60,
        validation_alias="TRACKLY_WEBHOOK_TIMEOUT",
        description="Seconds for one attempt in all: address lookup, connection, TLS, request and answer.",
    )
    in_flight_per_endpoint: int = Field(
        default=16,
        ge=1,
        le=1_000,
        validation_alias="TRACKLY_IN_FLIGHT_PER_ENDPOINT",
        description="Requests to one endpoint at the same time, for each sinks process.",
    )
    connections_per_host: int = Field(
        default=256,
        ge=0,
        validation_alias="TRACKLY_CONNECTIONS_PER_HOST",
        description="Connections to one host and port, for each sinks process. 0: any number.",
    )
    window_events: int = Field(
        default=20_000,
        ge=1,
        validation_alias="TRACKLY_WINDOW_EVENTS",
        description="Events that may be in work at once. A process that is killed repeats at most these.",
    )
    window_bytes: int = Field(
        default=64 << 20,
        ge=1,
        validation_alias="TRACKLY_WINDOW_BYTES",
        description="Bytes of webhooks that may be in work at once: bodies, and 1 KiB for each webhook.",
    )
    pause_failures: int = Field(
        default=100,
        ge=1,
        validation_alias="TRACKLY_PAUSE_FAILURES",
        description="Failures in a row after which an endpoint is paused, if they took TRACKLY_PAUSE_SECONDS.",
    )
    pause_seconds: float = Field(
        default=600.0,
        ge=0,
        validation_alias="TRACKLY_PAUSE_SECONDS",
        description="Seconds that failures in a row must last before they pause an endpoint.",
    )
    parked_days: float = Field(
        default=7.0,
        gt=0,
        validation_alias="TRACKLY_PARKED_DAYS",
        description="Days for which webhooks of a paused endpoint wait. Then they are in the dead letters.",
    )
    allow_http: bool = Field(
        default=False,
        validation_alias="TRACKLY_ALLOW_HTTP",
        description="Whether endpoints may have http:// URLs: true or false. For development.",
    )
    allow_subnets: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        validation_alias="TRACKLY_ALLOW_SUBNETS",
        description="Networks that endpoints may be in although not public, comma separated: 10.1.0.0/16.",
    )
    webhook_ports: frozenset[int] | None = Field(
        default=WEB_PORTS,
        validation_alias="TRACKLY_WEBHOOK_PORTS",
        description="Ports that endpoints may have, comma separated, or any; in TRACKLY_ALLOW_SUBNETS every port is"
        " allowed.",
    )
    replay_rate: float = Field(
        default=100.0,
        gt=0,
        validation_alias="TRACKLY_REPLAY_RATE",
        description="Webhooks a second that a replay sends at most, and never more than half of its endpoint's rate"
        " limit.",
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_SINKS_HOST",
        description="Address of /livez, /readyz and /metrics.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="TRACKLY_SINKS_PORT",
        description="Port of /livez, /readyz and /metrics. 0: none.",
    )

    @field_validator("allow_subnets", mode="before")
    @classmethod
    def _split_subnets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("webhook_ports", mode="before")
    @classmethod
    def _split_ports(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == "any":
            return None
        return frozenset(part.strip() for part in value.split(",") if part.strip())

    @field_validator("webhook_ports")
    @classmethod
    def _ports_exist(cls, value: frozenset[int] | None) -> frozenset[int] | None:
        if value is not None and not all(0 < port < 65_536 for port in value):
            raise ValueError("a port is a number from 1 to 65535")
        return value
