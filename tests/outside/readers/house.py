"""A broker with a few records on every public topic, and the registry."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bus.admin import Admin
from bus.settings import BusSettings
from registry.app import create_app
from tests.http_servers import served
from tests.outside.readers.records import Given, given, write
from tests.patience import PATIENCE


@dataclass(frozen=True)
class House:
    """The readers' settings, and the records on the broker."""

    environment: dict[str, str]
    records: list[Given]


@contextmanager
def house(bootstrap_servers: str) -> Iterator[House]:
    """Yield its own topics on that broker."""
    prefix = f"r{secrets.token_hex(3)}."
    settings = BusSettings(bootstrap_servers=bootstrap_servers, topic_prefix=prefix, partitions=2, replication=1)
    with Admin(settings, PATIENCE) as admin:
        admin.apply(settings.catalogue)
    records = given(topic for topic in settings.catalogue.values() if topic.public)
    asyncio.run(write(settings, records))
    with served(create_app(settings.catalogue)) as url:
        yield House({"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "SCHEMA_REGISTRY_URL": url}, records)
