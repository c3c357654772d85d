"""Counts what compacted topics still hold of an account's number, record by record, current or superseded."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from trackly.reading import open_topic

TOPICS = ("contacts", "places", "table_contacts", "table_messages", "table_clicks")
"""Topics (catalogue short names) that keep each key's newest record, and may have a number in key or value. Keys begin
with the account, except for clicks, whose rows name it."""


class Remains(NamedTuple):
    """A partition's records that contain the number, and tombstones that name it."""

    topic: str
    partition: int
    records: int
    deletions: int


async def remains(settings: BusSettings, account: str, number: str) -> list[Remains]:
    """Read the topics completely. Raises Failed, bus.admin.BrokerUnavailable."""
    found: list[Remains] = []
    for topic in TOPICS:
        counts: dict[int, list[int]] = {}
        async with open_topic(settings, settings.catalogue[topic].name, BEGINNING) as source:
            async for record in source.rest():
                if names(record, account, number):
                    counts.setdefault(record.partition, [0, 0])[record.value is None] += 1
        found += [Remains(settings.catalogue[topic].name, p, *each) for p, each in sorted(counts.items())]
    return found


def names(record: Any, account: str, number: str) -> bool:
    """Whether a record of the account has the number in its key or value, and not as part of a longer one.

    Providers also write numbers without the plus sign.
    """
    key, value = record.key or b"", record.value or b""
    is_click = key.startswith(b"click:") and f'"{account}"'.encode() in value
    if not key.startswith(f"{account}:".encode()) and not is_click:
        return False
    digits = re.escape(number.removeprefix("+").encode())
    return re.search(rb"(?:\+|(?<![0-9]))" + digits + rb"(?![0-9])", key + b"\0" + value) is not None
