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
    """Settings of ingest besides those for Kafka."""

    host: str = Field(default="127.0.0.1", validation_alias="TRACKLY_INGEST_HOST", description="Address to listen on.")
    port: int = Field(
        default=8080, ge=1, le=65_535, validation_alias="TRACKLY_INGEST_PORT", description="Port to listen on."
    )
    max_body_bytes: int = Field(
        default=4 << 20,
        gt=0,
        le=4_900_000,
        validation_alias="TRACKLY_MAX_BODY_BYTES",
        description="Largest callback body in bytes, at most 4,900,000. Only Infobip's bodies, which may hold "
        "2,000 reports, get that large. The limit is 256 KiB for other providers and 64 KiB for "
        "networks.",
    )
    body_timeout: float = Field(
        default=10.0,
        gt=0,
        validation_alias="TRACKLY_BODY_TIMEOUT",
        description="Seconds in which a whole body must arrive.",
    )
    ack_timeout: float = Field(
        default=2.0,
        validation_alias="TRACKLY_ACK_TIMEOUT",
        gt=0,
        description="Seconds to wait for Kafka before answering 503 to a provider that retries for a long time "
        "(Infobip, CM). For providers that may not retry, it is 13 s.",
    )
    max_pending_bytes: int = Field(
        default=128 << 20,
        gt=0,
        validation_alias="TRACKLY_MAX_PENDING_BYTES",
        description="Bytes of bodies that may wait for Kafka at once; beyond that, callers get 503.",
    )
    unproven_rate: float = Field(
        default=2_000.0,
        gt=0,
        validation_alias="TRACKLY_UNPROVEN_RATE",
        description="Unverified requests a second accepted from one address: postbacks that name no account, and "
        "callbacks for an account without credentials. All addresses together get twice as many. "
        "Applies to each account and provider, or network, in each process; requests beyond it get "
        "503.",
    )
    unproven_bytes: int = Field(
        default=2 << 20,
        ge=1_024,
        validation_alias="TRACKLY_UNPROVEN_BYTES",
        description="Bytes a second stored of unverified requests, counted the same way. Two minutes' worth may "
        "pass at once.",
    )
    account_bytes: int = Field(
        default=8 << 20,
        ge=1_024,
        validation_alias="TRACKLY_ACCOUNT_BYTES",
        description="Bytes a second stored of an account's verified callbacks and postbacks, in each process. Two "
        "minutes' worth may pass at once; requests beyond that get 503.",
    )
    lime_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="LIME_WEBHOOK_SECRET",
        description="Secret (8 characters or more) in the path of Lime callbacks, for accounts without a "
        "path_secret of their own. While you rotate it, set both, separated by a comma. If unset, "
        "those accounts receive no Lime callbacks.",
    )
    eztexting_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="EZTEXTING_WEBHOOK_SECRET",
        description="Secret (8 characters or more) in the path of EZ Texting callbacks, for accounts without a "
        "path_secret of their own. While you rotate it, set both, separated by a comma. If unset, "
        "those accounts receive no EZ Texting callbacks.",
    )

    eztexting_require_signature: bool = Field(
        default=False,
        validation_alias="EZTEXTING_REQUIRE_SIGNATURE",
        description="Whether to refuse EZ Texting callbacks without X-Signature, or for accounts without a secret "
        'to check it. An account can require this itself with signature = "required".',
    )

    @field_validator("lime_webhook_secret", "eztexting_webhook_secret")
    @classmethod
    def _secrets_are_long(cls, value: SecretStr | None) -> SecretStr | None:
        for secret in () if value is None else _parts(value):
            check_length(secret, LEAST_SECRET)
        return value

    def demands(self, provider: str) -> Mapping[str, str]:
        """What the deployment requires of a provider's callbacks, in the form of an account's credentials."""
        return {SIGNATURE: REQUIRED} if provider == "eztexting" and self.eztexting_require_signature else {}

    def path_secrets(self, provider: str) -> tuple[str, ...]:
        """The secrets accepted in the path of a provider's callbacks. If empty, none is accepted."""
        secret = {"lime": self.lime_webhook_secret, "eztexting": self.eztexting_webhook_secret}.get(provider)
        return _parts(secret) if secret else ()

    @property
    def public_urls(self) -> tuple[str, ...]:
        """The base URLs, without a trailing slash, that a provider may have signed."""
        if self.public_url:
            return (self.public_url.rstrip("/"),)
        return (f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}")


def _parts(secrets: SecretStr) -> tuple[str, ...]:
    return tuple(part.strip() for part in secrets.get_secret_value().split(",") if part.strip())
