"""Kafka settings in the form Faust expects."""

from __future__ import annotations

from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from bus.settings import BusSettings, Hidden
from bus.token_providers import ForAiokafka


def broker(settings: BusSettings) -> str:
    """Return broker URLs for `broker`: `kafka://h1:9092;kafka://h2:9092`."""
    return ";".join(f"kafka://{server}" for server in settings.bootstrap_servers.split(","))


def credentials(settings: BusSettings) -> OAuthCredentials | SASLCredentials | SSLCredentials | None:
    """Return `broker_credentials`; None for PLAINTEXT."""
    if settings.tokens is not None:
        provider = ForAiokafka(settings.tokens, settings.extensions)
        return OAuthCredentials(oauth_cb=provider, ssl_context=settings.ssl_context)
    if settings.security_protocol.startswith("SASL") and settings.sasl_password is not None:
        return SASLCredentials(
            username=settings.sasl_username,
            password=Hidden(settings.sasl_password.get_secret_value()),
            mechanism=settings.sasl_mechanism,
            ssl_context=settings.ssl_context,
        )
    return SSLCredentials(settings.ssl_context) if settings.security_protocol == "SSL" else None
