"""Settings of the ingest service."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator

from accounts.checks import LEAST_SECRET, check_length
from accounts.proxies import ProxySettings
from inbound.settings import InboundSettings
from operations.settings import PublicSettings
from providers.eztexting import REQUIRED, SIGNATURE


class IngestSettings(InboundSettings, ProxySettings, PublicSettings):
    """What ingest needs beside the Kafka settings."""

    host: str = Field(default="127.0.0.1", validation_alias="TRACKLY_INGEST_HOST", description="Address to listen on.")
    port: int = Field(default=8080, validation_alias="TRACKLY_INGEST_PORT", description="Port to listen on.")
    max_body_bytes: int = Field(
        default=4 << 20,
        gt=0,
        le=4_900_000,
        validation_alias="TRACKLY_MAX_BODY_BYTES",
        description="Largest callback body in bytes, at most 4,900,000. Only Infobip's, which may hold 2,000 reports, "
        "are that large: those of the others have at most 256 KiB, those of networks 64 KiB.",
    )
    body_timeout: float = Field(
        default=10.0,
        validation_alias="TRACKLY_BODY_TIMEOUT",
        description="Seconds in which a whole body must have arrived.",
    )
    ack_timeout: float = Field(
        default=2.0,
        validation_alias="TRACKLY_ACK_TIMEOUT",
        gt=0,
        description="Seconds to wait for Kafka before a provider is answered 503 that sends again for a long time "
        "(Infobip, CM). It is 13 s where a callback that is refused may be lost.",
    )
    max_pending_bytes: int = Field(
        default=128 << 20,
        validation_alias="TRACKLY_MAX_PENDING_BYTES",
        description="Bytes of bodies that may wait for Kafka at once; beyond it callers are answered 503.",
    )
    unproven_rate: float = Field(
        default=2_000.0,
        gt=0,
        validation_alias="TRACKLY_UNPROVEN_RATE",
        description="Requests a second that are taken from one address of what proves nothing: postbacks that name no "
        "account, callbacks of an account without credentials. Twice as many from all addresses. For each account and "
        "provider, or network, and each process; further ones are answered 503.",
    )
    unproven_bytes: int = Field(
        default=2 << 20,
        ge=1_024,
        validation_alias="TRACKLY_UNPROVEN_BYTES",
        description="Bytes a second that are stored of the same, counted so; what two minutes give at once.",
    )
    account_bytes: int = Field(
        default=8 << 20,
        ge=1_024,
        validation_alias="TRACKLY_ACCOUNT_BYTES",
        description="Bytes a second that are stored of the callbacks and postbacks that an account has proved, in each "
        "process, what two minutes give at once; further ones are answered 503.",
    )
    lime_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="LIME_WEBHOOK_SECRET",
        description="Secret of 8 characters or more in the path of Lime's callbacks to accounts that have no "
        "path_secret of their own; two, separated by a comma, while it is changed. When unset, they take none.",
    )
    eztexting_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="EZTEXTING_WEBHOOK_SECRET",
        description="Secret of 8 characters or more in the path of EZ Texting's callbacks to accounts that have no "
        "path_secret of their own; two, separated by a comma, while it is changed. When unset, they take none.",
    )

    eztexting_require_signature: bool = Field(
        default=False,
        validation_alias="EZTEXTING_REQUIRE_SIGNATURE",
        description="Whether callbacks of EZ Texting without X-Signature, or for accounts without a secret for it, are "
        'refused. An account can ask for the same with signature = "required".',
    )

    @field_validator("lime_webhook_secret", "eztexting_webhook_secret")
    @classmethod
    def _secrets_are_long(cls, value: SecretStr | None) -> SecretStr | None:
        for secret in () if value is None else _parts(value):
            check_length(secret, LEAST_SECRET)
        return value

    def demands(self, provider: str) -> Mapping[str, str]:
        """What the deployment asks of the callbacks of a provider, as an account would in its credentials."""
        return {SIGNATURE: REQUIRED} if provider == "eztexting" and self.eztexting_require_signature else {}

    def path_secrets(self, provider: str) -> tuple[str, ...]:
        """Secrets that are accepted in the path of a provider's callbacks; none: nothing is accepted."""
        secret = {"lime": self.lime_webhook_secret, "eztexting": self.eztexting_webhook_secret}.get(provider)
        return _parts(secret) if secret else ()

    @property
    def public_urls(self) -> tuple[str, ...]:
        """Base URLs, without a trailing slash, that a provider may have signed."""
        if self.public_url:
            return (self.public_url.rstrip("/"),)
        return (f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}")


def _parts(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(part.strip() for part in secrets.get_secret_value().split(",") if part.strip())
