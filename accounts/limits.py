"""Settings of how much an account may have."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class LimitSettings(BusSettings):
    """How much an account may have."""

    max_endpoints: int = Field(
        default=100,
        ge=1,
        le=10_000,
        validation_alias="TRACKLY_MAX_ENDPOINTS",
        description="Webhook endpoints that an account may have. One that has more keeps them and gets no further one.",
    )
