"""Lets Kafka clean the quiet partitions of compacted topics, so that an erased number leaves their logs.

Kafka closes a segment of a partition when a record comes after the segment has become old enough, and cleans only what
is closed. So a partition into which nothing comes keeps for ever what newer records have replaced, and the tombstone of
a number, which goes at a second cleaning, has the number in its key. Here a partition that was quiet for a day gets a
record: a tombstone of a key that nothing has. Whoever reads the topic takes it for "there is no such row", which is
true, and compaction removes it like any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from bus.admin import Admin, AdminError, Partition
from bus.clock import now_ms
from bus.settings import BusSettings
from bus.tables.table import Table
from bus.worker.batches import Batch

log = logging.getLogger(__name__)

KEY = b"::"
"""The key of nothing: account, list and number are empty."""

QUIET_MS = 86_400_000
"""After so long without a record a partition gets one; earlier where its topic closes segments earlier."""

LOOK_EVERY = 3_600.0
"""Seconds between two looks at when partitions got their last record; less for topics that close segments sooner."""


class Cleaning:
    """Looks after the partitions of some topics that are this worker's: those that are claimed of `tables`.

    `tables`: by the catalogue's short name of the changelog. `topics`: short names of others, with the same partitions
    as the tables.
    """

    def __init__(self, settings: BusSettings, tables: Mapping[str, Table], topics: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._tables = tables
        self._names = {settings.catalogue[key].name: key for key in (*tables, *topics)}
        self._quiet: list[Partition] = []

    async def look(self) -> float:
        """Find the partitions that are quiet, for the next tick; gives the seconds until the next look."""
        try:
            self._quiet, pause = await asyncio.to_thread(self._find)
        except AdminError as error:
            log.warning("whether partitions are quiet is not known: %s", error)
            return LOOK_EVERY
        return pause

    def tick(self, batch: Batch) -> None:
        """Write what makes Kafka clean the partitions that were found quiet."""
        quiet, self._quiet = self._quiet, []
        now = now_ms()
        for name, partition in quiet:
            key = self._names[name]
            if not all(table.is_claimed(partition) for table in self._tables.values()):
                continue
            if key in self._tables:
                batch.rows(self._tables[key]).put(partition, KEY, None)
            else:
                batch.send(key, None, key=KEY, event_id="", at=now, partition=partition)

    def _find(self) -> tuple[list[Partition], float]:
        now = now_ms()
        with Admin(self._settings) as admin:
            closed_after = {name: topic.closed_after_ms for name, topic in admin.describe(self._names).items()}
            newest = admin.newest(closed_after)
        after = {name: min(QUIET_MS, millis) for name, millis in closed_after.items()}
        quiet = [(name, partition) for (name, partition), at in newest.items() if at < now - after[name]]
        return quiet, min([LOOK_EVERY, *(millis / 1_000 for millis in after.values())])
