"""Settings of the service that writes the read model."""

from __future__ import annotations

from pydantic import Field

from database.settings import DatabaseSettings
from readmodel.rows import TAG_ARGUMENT


class ReadModelSettings(DatabaseSettings):
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
    tag_argument: str = Field(
        default=TAG_ARGUMENT,
        min_length=1,
        max_length=100,
        validation_alias="TRACKLY_TAG_ARGUMENT",
        description="Name of the argument in a message's `unique_args` by which deliveries can be found and"
        " exported, such as campaign. Applies to messages registered from then on.",
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
