"""Settings of the sinks service."""

from __future__ import annotations

from pydantic import Field

from outbound.settings import OutboundSettings


class SinksSettings(OutboundSettings):
    """What sinks needs beside the settings of Kafka and of requests to customers."""

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
