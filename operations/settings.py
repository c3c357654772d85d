"""Settings for an installation's public addresses: where ingest receives callbacks, and the console's name."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from accounts.urls import check_web_address
from bus.settings import BusSettings

_CALLBACKS = re.compile(r"/api/(?:webhook-feedbacks|postbacks)").search


class PublicSettings(BusSettings):
    """Where providers reach ingest."""

    public_url: str | None = Field(
        default=None,
        validation_alias="TRACKLY_PUBLIC_URL",
        description="Public base URL that you give to providers; Twilio signs it. When unset: this machine's own"
        " name and address, which is good only for trying things out.",
    )

    @field_validator("public_url")
    @classmethod
    def _is_base_url(cls, value: str | None) -> str | None:
        # No signature of Twilio's would match another URL, and it does not send refused callbacks again.
        if value is None:
            return None
        value = value.strip()
        check_web_address(value)
        if _CALLBACKS(value) or "?" in value or "#" in value:
            raise ValueError(f"{value!r} is not a base URL: write only what comes before /api, as https://YOUR-HOST")
        return value

    @property
    def callbacks_url(self) -> str:
        """The base URL for display, without a trailing slash; a placeholder if it is not set."""
        return (self.public_url or "https://YOUR-HOST").rstrip("/")
