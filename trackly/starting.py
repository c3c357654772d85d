"""Checks before the start of every service: its topics exist, its clock is right, and so is its key of pseudonyms."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from bus.admin import Admin
from bus.kafka_time import check_clock
from bus.kept_key import check_key, check_or_keep_key
from bus.layout import check_partitions
from bus.logs import configure_logging
from bus.settings import BusSettings
from bus.telemetry import current
from trackly.errors import check_topics

S = TypeVar("S", bound=BusSettings)


def tell(service: str, settings: BusSettings) -> None:
    """Set up a service's log, and the export that OpenTelemetry's variables request.

    Raises LogSettingWrong, TelemetryWrong.
    """
    configure_logging(service=service)
    current.start(service, settings.instance_id)


def prepare(service: str, settings_class: type[S]) -> S:
    """Return the settings of a service that may start. Raises Failed, LayoutError, ClockWrong, PseudonymKeyWrong, and
    whatever `tell` raises."""
    settings = settings_class()
    tell(service, settings)
    with Admin(settings) as admin:
        existing = admin.identities(topic.name for topic in settings.catalogue.values())
    check_topics((t.name for t in settings.catalogue.values() if service in (*t.written_by, *t.read_by)), existing)
    check_partitions(settings.catalogue, existing)
    asyncio.run(check_clock(settings, service))
    if service == "streams":
        asyncio.run(check_or_keep_key(settings))
    elif service == "console" and settings.pseudonyms is not None:
        # Without a key, the console is not ready once it has an erased number.
        asyncio.run(check_key(settings))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return settings
