"""Settings of what is told about an installation from outside: ingest takes callbacks there, the console names it."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class PublicSettings(BusSettings):
    """Where providers reach ingest."""

    public_url: str | None = Field(
        default=None,
        validation_alias="TRACKLY_PUBLIC_URL",
        description="Base URL that providers were given; Twilio signs it. When unset: this machine's own name and "
        "address, which is right for trying things out and nothing else.",
    )

    @property
    def callbacks_url(self) -> str:
        """The base URL as people are shown it, without a trailing slash; a place to fill in where it is not set."""
        return (self.public_url or "https://YOUR-HOST").rstrip("/")
