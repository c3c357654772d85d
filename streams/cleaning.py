"""Lets Kafka clean quiet partitions of compacted topics, so that an erased number leaves their logs.

Kafka closes a segment only when a record arrives after it has become old enough, and cleans only closed segments. So a
partition without new records keeps superseded ones forever, and the tombstone of a number, which takes a second
cleaning, has the number in its key. Here, a partition that was quiet for a day gets a record: a tombstone for a key
that does not exist. To readers it means "there is no such row", which is true, and compaction removes it like any
other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from bus.admin import Admin, AdminError, Partition
from bus.clock import now_ms
from bus.settings import BusSettings
from bus.tables.table import Table
from bus.worker.batch import Batch

log = logging.getLogger(__name__)

KEY = b"::"
"""A key that does not exist: account, list, and number are empty."""

QUIET_MS = 86_400_000
"""Milliseconds of quiet after which a partition gets a record; less if its topic closes segments earlier."""

LOOK_EVERY = 3_600.0
"""Seconds between checks of the partitions' last records; less for topics that close segments earlier."""


class Cleaning:
    """Cleans some topics' partitions that this worker has claimed of `tables`.

    `tables`: catalogue short names of changelogs. `topics`: short names of other topics with the same partitions.
    """

    def __init__(self, settings: BusSettings, tables: Mapping[str, Table], topics: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._tables = tables
        self._names = {settings.catalogue[key].name: key for key in (*tables, *topics)}
        self._quiet: list[Partition] = []

    async def look(self) -> float:
        """Find quiet partitions for the next tick; returns the seconds until the next check."""
        try:
            self._quiet, pause = await asyncio.to_thread(self._find)
        except AdminError as error:
            log.warning("cannot determine quiet partitions: %s", error)
            return LOOK_EVERY
        return pause

    def tick(self, batch: Batch) -> None:
        """Write the records that make Kafka clean the quiet partitions."""
        quiet, self._quiet = self._quiet, []
        for name, partition in quiet:
            key = self._names[name]
            if not all(table.is_claimed(partition) for table in self._tables.values()):
                continue
            if key in self._tables:
                batch.rows(self._tables[key]).put(partition, KEY, None)
            else:
                batch.delete(key, KEY, partition=partition)

    def _find(self) -> tuple[list[Partition], float]:
        now = now_ms()
        with Admin(self._settings) as admin:
            closed_after = {name: topic.closed_after_ms for name, topic in admin.describe(self._names).items()}
            newest = admin.newest(closed_after)
        after = {name: min(QUIET_MS, millis) for name, millis in closed_after.items()}
        quiet = [(name, partition) for (name, partition), at in newest.items() if at < now - after[name]]
        return quiet, min([LOOK_EVERY, *(millis / 1_000 for millis in after.values())])
