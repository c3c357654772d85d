"""Settings of the streams service."""

from __future__ import annotations

from pydantic import Field

from bus.settings import BusSettings


class StreamsSettings(BusSettings):
    """Settings of streams besides those for Kafka."""

    port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="TRACKLY_STREAMS_PORT",
        description="Port of /livez, /readyz, and /metrics. 0: none.",
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_STREAMS_HOST",
        description="Address of /livez, /readyz, and /metrics.",
    )
    message_days: int = Field(
        default=7,
        ge=1,
        le=7,
        validation_alias="TRACKLY_MESSAGE_DAYS",
        description="Days that a message is remembered after it was last registered, corrected, or reported. At most"
        " 7, as long as the table's changelog is kept.",
    )
    registration_wait: float = Field(
        default=60.0,
        ge=0.0,
        le=3_600.0,
        validation_alias="TRACKLY_REGISTRATION_WAIT",
        description="Seconds that a report waits for its message, in accounts with registers_messages, before it"
        " is published under the provider's ID. 0: it does not wait.",
    )
    link_wait: float = Field(
        default=60.0,
        ge=0,
        le=3_600,
        validation_alias="TRACKLY_LINK_WAIT",
        description="Seconds that a postback waits for its click to be registered. Then it is published without"
        " message and contact, or rejected if it names no account.",
    )
    conversion_repeat_minutes: float = Field(
        default=60.0,
        ge=0,
        le=43_200,
        validation_alias="TRACKLY_CONVERSION_REPEAT_MINUTES",
        description="Minutes within which the same type and amount for the same click, without an ID from the"
        " network, is a duplicate rather than a second conversion.",
    )
    conversion_days: int = Field(
        default=30,
        ge=1,
        le=30,
        validation_alias="TRACKLY_CONVERSION_DAYS",
        description="Days that a click is remembered after it was registered or last converted. At most 30, as"
        " long as the table's changelog is kept.",
    )
