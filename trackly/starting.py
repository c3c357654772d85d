"""What stands before the start of every service: its topics are there, and its clock is right."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from bus.admin import Admin
from bus.kafka_time import check_clock
from bus.layout import check_partitions
from bus.logs import configure_logging
from bus.settings import BusSettings
from trackly.errors import check_topics

S = TypeVar("S", bound=BusSettings)


def prepare(service: str, settings_class: type[S]) -> S:
    """The settings of a service that may start. Raises Failed, LayoutError, ClockWrong."""
    settings = settings_class()
    configure_logging(service=service)
    with Admin(settings) as admin:
        existing = admin.identities(topic.name for topic in settings.catalogue.values())
    check_topics((t.name for t in settings.catalogue.values() if service in (*t.written_by, *t.read_by)), existing)
    check_partitions(settings.catalogue, existing)
    asyncio.run(check_clock(settings, service))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return settings
