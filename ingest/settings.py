"""Settings of the ingest service."""

from __future__ import annotations

from pydantic import Field, SecretStr

from accounts.proxies import ProxySettings
from operations.settings import PublicSettings


class IngestSettings(ProxySettings, PublicSettings):
    """What ingest needs beside the Kafka settings."""

    host: str = Field(default="127.0.0.1", validation_alias="TRACKLY_INGEST_HOST", description="Address to listen on.")
    port: int = Field(default=8080, validation_alias="TRACKLY_INGEST_PORT", description="Port to listen on.")
    max_body_bytes: int = Field(
        default=4 << 20,
        validation_alias="TRACKLY_MAX_BODY_BYTES",
        description="Largest callback body in bytes. Infobip may send 2,000 reports in one request.",
    )
    body_timeout: float = Field(
        default=10.0,
        validation_alias="TRACKLY_BODY_TIMEOUT",
        description="Seconds in which a whole body must have arrived.",
    )
    ack_timeout: float = Field(
        default=2.0,
        validation_alias="TRACKLY_ACK_TIMEOUT",
        description="Seconds to wait for Kafka before the provider is answered 503.",
    )
    max_pending_bytes: int = Field(
        default=128 << 20,
        validation_alias="TRACKLY_MAX_PENDING_BYTES",
        description="Bytes of bodies that may wait for Kafka at once; beyond it callers are answered 503.",
    )
    lime_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="LIME_WEBHOOK_SECRET",
        description="Secret in the path of Lime's callbacks; two, separated by a comma, while it is changed. "
        "When unset, Lime's callbacks are not taken.",
    )
    eztexting_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="EZTEXTING_WEBHOOK_SECRET",
        description="Secret in the path of EZ Texting's callbacks; two, separated by a comma, while it is changed. "
        "When unset, EZ Texting's callbacks are not taken.",
    )

    def path_secrets(self, provider: str) -> tuple[str, ...]:
        """Secrets that are accepted in the path of a provider's callbacks; none: nothing is accepted."""
        secret = {"lime": self.lime_webhook_secret, "eztexting": self.eztexting_webhook_secret}.get(provider)
        return tuple(part.strip() for part in secret.get_secret_value().split(",") if part.strip()) if secret else ()

    @property
    def public_urls(self) -> tuple[str, ...]:
        """Base URLs, without a trailing slash, that a provider may have signed."""
        if self.public_url:
            return (self.public_url.rstrip("/"),)
        return (f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}")
