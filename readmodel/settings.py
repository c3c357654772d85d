"""Settings of the service that writes the read model."""

from __future__ import annotations

from pydantic import Field

from database.settings import DatabaseSettings
from readmodel.rows import TAG_ARGUMENT


class ReadModelSettings(DatabaseSettings):
    """What the read model needs beside the settings of Kafka and of the database."""

    batch_records: int = Field(
        default=2_000,
        ge=1,
        le=100_000,
        validation_alias="TRACKLY_READ_MODEL_BATCH",
        description="Records that are written in one transaction at most.",
    )
    days: float = Field(
        default=30.0,
        gt=0,
        validation_alias="TRACKLY_READ_MODEL_DAYS",
        description="Days for which rows are kept, by the time of the message, event or attempt. States of contacts are"
        " kept for ever.",
    )
    hourly_days: float = Field(
        default=400.0,
        gt=0,
        validation_alias="TRACKLY_READ_MODEL_HOURLY_DAYS",
        description="Days for which counts by the hour are kept.",
    )
    evidence_days: float = Field(
        default=1_830.0,
        gt=0,
        validation_alias="TRACKLY_EVIDENCE_DAYS",
        description="Days for which records that bear on a contact's consent are kept: five years by default.",
    )
    answer_days: float = Field(
        default=1_830.0,
        gt=0,
        validation_alias="TRACKLY_ANSWER_DAYS",
        description="Days for which the answers of checks are kept, of accounts that keep them as evidence.",
    )
    tag_argument: str = Field(
        default=TAG_ARGUMENT,
        min_length=1,
        max_length=100,
        validation_alias="TRACKLY_TAG_ARGUMENT",
        description="Argument among a message's `unique_args` by whose value deliveries are found and exported, such as"
        " campaign. It holds for messages that are registered from then on.",
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias="TRACKLY_READ_MODEL_HOST",
        description="Address of /livez, /readyz and /metrics.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        validation_alias="TRACKLY_READ_MODEL_PORT",
        description="Port of /livez, /readyz and /metrics. 0: none.",
    )
