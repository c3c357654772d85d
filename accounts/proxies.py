"""Settings of the services that people and providers reach through proxies."""

from __future__ import annotations

from pydantic import Field, field_validator

from accounts.callers import Proxies
from bus.settings import BusSettings


class ProxySettings(BusSettings):
    """Whose word about the caller's address is believed."""

    forwarded_allow_ips: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_FORWARDED_ALLOW_IPS",
        description="Proxies whose X-Forwarded-For is believed: comma separated addresses or networks. The address "
        "that the farthest of them saw is the caller's. *: whoever connects is a proxy, and the one address that it "
        "appended is the caller's.",
    )

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies_are_networks(cls, value: str) -> str:
        Proxies(value)
        return value
