"""Settings that limit an account's size."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class LimitSettings(BusSettings):
    """Limits on the size of an account."""

    max_endpoints: int = Field(
        default=100,
        ge=1,
        le=10_000,
        validation_alias="TRACKLY_MAX_ENDPOINTS",
        description="Maximum webhook endpoints per account. An account that already has more keeps them but"
        " cannot add any.",
    )
