"""Settings of services that people and providers reach through proxies."""

from __future__ import annotations

from pydantic import Field, field_validator

from accounts.callers import Proxies
from bus.settings import BusSettings


class ProxySettings(BusSettings):
    """Which proxies are trusted to report the caller's address."""

    forwarded_allow_ips: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_FORWARDED_ALLOW_IPS",
        description="Trusted proxies, whose X-Forwarded-For counts: addresses or networks, separated by commas."
        " The caller's address is the one that the outermost proxy saw. *: every client is a proxy,"
        " and the last address in the header is the caller's.",
    )

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies_are_networks(cls, value: str) -> str:
        Proxies(value)
        return value
