"""Settings of the service that writes the read model."""

from __future__ import annotations

from pydantic import Field

from database.settings import DatabaseSettings
from database.tags import TagSettings


class ReadModelSettings(DatabaseSettings, TagSettings):
    """Settings of the read model besides those for Kafka and for the database."""

    batch_records: int = Field(
        default=2_000,
        ge=1,
        le=100_000,
        validation_alias="TRACKLY_READ_MODEL_BATCH",
        description="Maximum records written in one transaction.",
    )
    days: float = Field(
        default=30.0,
        gt=0,
        validation_alias="TRACKLY_READ_MODEL_DAYS",
        description="Days that rows are kept, by the time of the message, event, or attempt. Contact states are"
        " kept forever.",
    )
    hourly_days: float = Field(
        default=400.0,
        gt=0,
        validation_alias="TRACKLY_READ_MODEL_HOURLY_DAYS",
        description="Days that hourly counts are kept.",
    )
    evidence_days: float = Field(
        default=1_830.0,
        gt=0,
        validation_alias="TRACKLY_EVIDENCE_DAYS",
        description="Days that records about a contact's consent are kept: five years by default.",
    )
    answer_days: float = Field(
        default=1_830.0,
        gt=0,
        validation_alias="TRACKLY_ANSWER_DAYS",
        description="Days that answers of checks are kept, for accounts that keep them as evidence.",
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_READ_MODEL_HOST",
        description="Address of /livez, /readyz, and /metrics.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="TRACKLY_READ_MODEL_PORT",
        description="Port of /livez, /readyz, and /metrics. 0: none.",
    )
