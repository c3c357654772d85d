"""Settings of the sinks service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from accounts.checks import check_email
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
    smtp_host: str = Field(
        default="",
        validation_alias="TRACKLY_SMTP_HOST",
        description="SMTP server that takes notices of pauses for the addresses that endpoints name. When unset: none"
        " is sent.",
    )
    smtp_port: int = Field(
        default=587, ge=1, le=65_535, validation_alias="TRACKLY_SMTP_PORT", description="Port of the SMTP server."
    )
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        validation_alias="TRACKLY_SMTP_TLS",
        description="starttls: the connection must become TLS before anything is sent; tls: it begins with TLS (port"
        " 465); none: neither, for a server on this machine.",
    )
    smtp_user: str = Field(
        default="", validation_alias="TRACKLY_SMTP_USER", description="User at the SMTP server. When unset: no sign-in."
    )
    smtp_password: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="TRACKLY_SMTP_PASSWORD",
        description="Password that belongs to the user.",
    )
    mail_from: str = Field(
        default="",
        validation_alias="TRACKLY_MAIL_FROM",
        description="Address that notices come from, noreply@example.com. It takes answers of nobody.",
    )

    @model_validator(mode="after")
    def _mail_whole_or_not(self) -> SinksSettings:
        if self.smtp_host:
            if not self.mail_from:
                raise ValueError("TRACKLY_SMTP_HOST needs TRACKLY_MAIL_FROM, the address that notices come from")
            check_email(self.mail_from)
        if bool(self.smtp_user) != bool(self.smtp_password.get_secret_value()):
            raise ValueError("TRACKLY_SMTP_USER and TRACKLY_SMTP_PASSWORD are set together or not at all")
        if self.smtp_user and self.smtp_tls == "none":
            raise ValueError("TRACKLY_SMTP_USER needs TLS: set TRACKLY_SMTP_TLS to starttls or tls")
        return self

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
