"""Settings of the streams service."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class StreamsSettings(BusSettings):
    """What streams needs beside the Kafka settings."""

    port: int = Field(
        default=0,
        validation_alias="TRACKLY_STREAMS_PORT",
        description="Port of /livez, /readyz and /metrics. 0: none.",
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_STREAMS_HOST",
        description="Address of /livez, /readyz and /metrics.",
    )
    message_days: int = Field(
        default=7,
        validation_alias="TRACKLY_MESSAGE_DAYS",
        description="Days that a message is remembered after it was registered or last corrected.",
    )
    registration_wait: float = Field(
        default=60.0,
        ge=0.0,
        le=3_600.0,
        validation_alias="TRACKLY_REGISTRATION_WAIT",
        description="Seconds that a report waits for its message, in accounts with registers_messages, before it"
        " goes out under the provider's id. 0: it does not wait.",
    )
