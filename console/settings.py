"""Settings of the console service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from accounts.limits import LimitSettings
from accounts.proxies import ProxySettings
from accounts.urls import check_web_address
from bus.environment import separated
from database.settings import DatabaseSettings
from database.tags import TagSettings
from inbound.settings import InboundSettings
from operations.settings import PublicSettings
from outbound.settings import OutboundSettings

_ORIGIN = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?")


class ConsoleSettings(
    InboundSettings, OutboundSettings, DatabaseSettings, TagSettings, ProxySettings, PublicSettings, LimitSettings
):
    """Settings of the console besides those for Kafka, the database, tags, requests to customers, ingest's address, and
    the limits of accounts."""

    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_CONSOLE_HOST",
        description="Address that the console listens on.",
    )
    port: int = Field(
        default=8081,
        ge=1,
        le=65_535,
        validation_alias="TRACKLY_CONSOLE_PORT",
        description="Port that the console listens on.",
    )
    check_max_age: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        validation_alias="TRACKLY_CHECK_MAX_AGE",
        description="Seconds that contact states may be out of date; beyond that, no one is told that a contact"
        " may be texted. At rest, it is 1 to 2 s.",
    )
    api_rate: float = Field(
        default=50.0,
        gt=0,
        validation_alias="TRACKLY_API_RATE",
        description="Requests per second that an API key, or a user, may make, per console process.",
    )
    api_burst: int = Field(
        default=100,
        ge=1,
        validation_alias="TRACKLY_API_BURST",
        description="Requests that an API key, or a user, may make in a burst.",
    )
    api_max_body_bytes: int = Field(
        default=4 << 20,
        ge=1_024,
        validation_alias="TRACKLY_API_MAX_BODY_BYTES",
        description="Maximum bytes of an API request's body.",
    )
    api_timeout: float = Field(
        default=10.0,
        gt=0,
        validation_alias="TRACKLY_API_TIMEOUT",
        description="Seconds in which a body must arrive, and in which Kafka must acknowledge the records of a"
        " request.",
    )

    console_url: str = Field(
        default="",
        validation_alias="TRACKLY_CONSOLE_URL",
        description="URL under which people open the console, such as https://console.example.com. Links start"
        " with it; with https, cookies are sent only over HTTPS. When unset: TRACKLY_CONSOLE_HOST and"
        " _PORT, without TLS.",
    )
    oidc_issuer: str = Field(
        default="",
        validation_alias="TRACKLY_OIDC_ISSUER",
        description="OpenID Connect issuer, such as https://login.example.com, where users can then sign in. Its"
        " discovery document is at /.well-known/openid-configuration below that.",
    )
    oidc_client_id: str = Field(
        default="",
        validation_alias="TRACKLY_OIDC_CLIENT_ID",
        description="Client ID that the issuer gave this console.",
    )
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="TRACKLY_OIDC_CLIENT_SECRET",
        description="Client secret for that ID.",
    )

    embed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="TRACKLY_CONSOLE_EMBED",
        description="Origins that may embed the page behind a customer's link in a frame, separated by commas:"
        " https://app.example.com. Requires a TRACKLY_CONSOLE_URL with https. No other page can be"
        " embedded.",
    )

    @field_validator("embed_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        given = separated(value)
        if not isinstance(given, tuple):
            return value
        origins = tuple(origin.rstrip("/") for origin in given)
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write it as https://app.example.com")
        return origins

    @model_validator(mode="after")
    def _embedded_by_https(self) -> ConsoleSettings:
        if self.embed_origins and not self.is_behind_tls:
            raise ValueError("TRACKLY_CONSOLE_EMBED needs a TRACKLY_CONSOLE_URL that begins with https://")
        return self

    @field_validator("console_url", "oidc_issuer")
    @classmethod
    def _web_addresses(cls, value: str) -> str:
        if value:
            check_web_address(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _oidc_whole_or_not(self) -> ConsoleSettings:
        parts = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret.get_secret_value())
        if any(parts) and not all(parts):
            raise ValueError(
                "TRACKLY_OIDC_ISSUER, TRACKLY_OIDC_CLIENT_ID, and TRACKLY_OIDC_CLIENT_SECRET are set together or not at"
                " all"
            )
        return self

    @property
    def address(self) -> str:
        """The console's public address, without a trailing slash."""
        return self.console_url or f"http://{self.host}:{self.port}"

    @property
    def is_behind_tls(self) -> bool:
        """Whether browsers reach the console by https."""
        return self.address.startswith("https://")

    @property
    def directory(self) -> Path:
        """Where this process keeps its copies of topics, for itself only."""
        return self.data_dir / "console" / (self.instance_id or "default")
