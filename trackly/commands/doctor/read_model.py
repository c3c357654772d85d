"""Checks whether the topics are still those that the read model has read, and whether it has read everything."""

from __future__ import annotations

from collections.abc import Iterator

from bus.admin import Admin
from bus.settings import BusSettings
from database.engine import disposing, open_engine
from database.read_state import freshness_of, positions_in, recreated
from readmodel.rows import RULES
from trackly.commands.doctor.findings import Finding, fine


def topics(settings: BusSettings, url: str) -> Iterator[Finding]:
    """Report topics that were deleted and recreated since they were read, and records that were never read. `url` is
    the database's."""
    with disposing(open_engine(url, read_only=True)) as engine, engine.connect() as connection:
        stored, fresh = positions_in(connection), freshness_of(connection)
    if fresh is not None and fresh.lost:
        yield Finding(
            "read model", "lost", "warning",
            f"retention deleted {fresh.lost:,} records before the read model read them: the console's pages lack them",
            "Run `trackly read-model rebuild`, which reads everything that Kafka still has.",
        )  # fmt: skip
    with Admin(settings) as admin:
        found = recreated(stored, admin.identities(settings.catalogue[key].name for key in RULES))
    if not found:
        yield fine("read model", "its topics are those that it has read")
    contacts = settings.catalogue["contacts"].name
    for topic in found:
        text, remedy = f"{topic} was deleted and recreated since it was read", "Run `trackly read-model accept`."
        if topic == contacts:
            text += ", and may lack contacts that were removed"
            remedy = (
                "Unless it was emptied on purpose or restored from a backup, stop streams and run `trackly tables"
                " publish-contacts`. Then run `trackly read-model accept`."
            )
        yield Finding("read model", "recreated", "error" if topic == contacts else "warning", text, remedy)
