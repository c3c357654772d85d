"""Settings of the sinks service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from accounts.checks import check_email
from outbound.settings import OutboundSettings


class SinksSettings(OutboundSettings):
    """Settings of sinks besides those for Kafka and for requests to customers."""

    in_flight_per_endpoint: int = Field(
        default=16,
        ge=1,
        le=1_000,
        validation_alias="TRACKLY_IN_FLIGHT_PER_ENDPOINT",
        description="Maximum simultaneous requests to one endpoint, per sinks process.",
    )
    connections_per_host: int = Field(
        default=256,
        ge=0,
        validation_alias="TRACKLY_CONNECTIONS_PER_HOST",
        description="Maximum connections to one host and port, per sinks process. 0: unlimited.",
    )
    window_events: int = Field(
        default=20_000,
        ge=1,
        validation_alias="TRACKLY_WINDOW_EVENTS",
        description="Maximum events in progress. A process that is killed repeats these, and what it read after the"
        " oldest of them: beside a slow endpoint, that is up to one minute.",
    )
    window_bytes: int = Field(
        default=64 << 20,
        ge=1,
        validation_alias="TRACKLY_WINDOW_BYTES",
        description="Maximum bytes of webhooks in progress: bodies, plus 1 KiB per webhook.",
    )
    pause_failures: int = Field(
        default=100,
        ge=1,
        validation_alias="TRACKLY_PAUSE_FAILURES",
        description="Failures in a row after which an endpoint is paused, if they lasted TRACKLY_PAUSE_SECONDS.",
    )
    pause_seconds: float = Field(
        default=600.0,
        ge=0,
        validation_alias="TRACKLY_PAUSE_SECONDS",
        description="Seconds that failures in a row must last before the endpoint is paused.",
    )
    parked_days: float = Field(
        default=7.0,
        gt=0,
        validation_alias="TRACKLY_PARKED_DAYS",
        description="Days that webhooks of a paused endpoint wait. Then they become dead letters.",
    )
    replay_rate: float = Field(
        default=100.0,
        gt=0,
        validation_alias="TRACKLY_REPLAY_RATE",
        description="Maximum webhooks per second that a replay sends; never more than half of its endpoint's"
        " rate limit.",
    )
    smtp_host: str = Field(
        default="",
        validation_alias="TRACKLY_SMTP_HOST",
        description="SMTP server for notices about pauses to the addresses that endpoints name. When unset, no"
        " notices are sent.",
    )
    smtp_port: int = Field(
        default=587, ge=1, le=65_535, validation_alias="TRACKLY_SMTP_PORT", description="Port of the SMTP server."
    )
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        validation_alias="TRACKLY_SMTP_TLS",
        description="starttls: the connection must switch to TLS before anything is sent; tls: it starts with"
        " TLS (port 465); none: no TLS, for a server on this machine.",
    )
    smtp_user: str = Field(
        default="",
        validation_alias="TRACKLY_SMTP_USER",
        description="User name for the SMTP server. When unset: no sign-in.",
    )
    smtp_password: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="TRACKLY_SMTP_PASSWORD",
        description="Password for that user.",
    )
    mail_from: str = Field(
        default="",
        validation_alias="TRACKLY_MAIL_FROM",
        description="Sender address of notices, such as noreply@example.com. Replies to it are not read.",
    )

    @model_validator(mode="after")
    def _mail_whole_or_not(self) -> SinksSettings:
        if self.smtp_host:
            if not self.mail_from:
                raise ValueError("TRACKLY_SMTP_HOST requires TRACKLY_MAIL_FROM, the sender address of notices")
            check_email(self.mail_from)
        if bool(self.smtp_user) != bool(self.smtp_password.get_secret_value()):
            raise ValueError("set both TRACKLY_SMTP_USER and TRACKLY_SMTP_PASSWORD, or neither")
        if self.smtp_user and self.smtp_tls == "none":
            raise ValueError("TRACKLY_SMTP_USER requires TLS: set TRACKLY_SMTP_TLS to starttls or tls")
        return self

    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_SINKS_HOST",
        description="Address of /livez, /readyz, and /metrics.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="TRACKLY_SINKS_PORT",
        description="Port of /livez, /readyz, and /metrics. 0: none.",
    )
