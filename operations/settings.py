"""Settings for an installation's public addresses: where ingest receives callbacks, and the console's name."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class PublicSettings(BusSettings):
    """Where providers reach ingest."""

    public_url: str | None = Field(
        default=None,
        validation_alias="TRACKLY_PUBLIC_URL",
        description="Public base URL that you give to providers; Twilio signs it. When unset: this machine's own"
        " name and address, which is good only for trying things out.",
    )

    @property
    def callbacks_url(self) -> str:
        """The base URL for display, without a trailing slash; a placeholder if it is not set."""
        return (self.public_url or "https://YOUR-HOST").rstrip("/")
