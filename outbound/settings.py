"""Settings for sending requests to addresses chosen by customers."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from pydantic import Field, field_validator

from bus.settings import BusSettings
from outbound.guard import WEB_PORTS


class OutboundSettings(BusSettings):
    """Settings of requests to customers besides those for Kafka."""

    webhook_timeout: float = Field(
        default=5.0,
        gt=0,
        le=60,
        validation_alias="TRACKLY_WEBHOOK_TIMEOUT",
        description="Maximum seconds for one attempt: DNS lookup, connection, TLS, request, and answer.",
    )
    allow_http: bool = Field(
        default=False,
        validation_alias="TRACKLY_ALLOW_HTTP",
        description="Whether endpoints may have http:// URLs: true or false. For development.",
    )
    allow_subnets: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        validation_alias="TRACKLY_ALLOW_SUBNETS",
        description="Networks that endpoints may be in although they are not public, separated by commas: 10.1.0.0/16.",
    )
    webhook_ports: frozenset[int] | None = Field(
        default=WEB_PORTS,
        validation_alias="TRACKLY_WEBHOOK_PORTS",
        description="Ports that endpoints may use, separated by commas, or any; in TRACKLY_ALLOW_SUBNETS every"
        " port is allowed.",
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
