"""Settings of the mirror."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class MirrorSettings(BusSettings):
    """Settings of the mirror besides those for Kafka."""

    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_MIRROR_HOST",
        description="Address of /livez, /readyz, and /metrics.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="TRACKLY_MIRROR_PORT",
        description="Port of /livez, /readyz, and /metrics. 0: none.",
    )
