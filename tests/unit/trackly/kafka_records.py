"""Records as returned by a consumer, without a broker."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import Record

CODEC = Codec(FolderRegistry())


@dataclass(frozen=True)
class Found:
    topic: str
    value: bytes | None
    key: bytes | None = b"acme:54321:+18005551234"
    headers: tuple[tuple[str, bytes], ...] = (("ce_id", b"evt_1"),)
    partition: int = 2
    offset: int = 7
    timestamp: int = 1_705_314_600_123


def found(topic: str, *records: Record | bytes | None) -> list[Found]:
    """Records one after the other in one partition."""
    return [
        Found(topic, record if record is None or isinstance(record, bytes) else CODEC.encode(record), offset=offset)
        for offset, record in enumerate(records)
    ]
