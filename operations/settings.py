"""Settings of what is told about an installation from outside: ingest takes callbacks there, the console names it."""

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
        """The base URL as people are shown it, without a trailing slash; a place to fill in where it is not set."""
        return (self.public_url or "https://YOUR-HOST").rstrip("/")
