"""A local copy of a whole topic: the newest value of each key, followed without a consumer group.

The copy's offsets are written atomically with the rows, so a restart continues where it stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import aiokafka

from bus.admin import Admin, TopicLog, UnknownTopic
from bus.clients import new_consumer
from bus.insisting import insist
from bus.layout import TopicMadeAnew
from bus.settings import BusSettings
from bus.tables.store import Store, StoreFailed
from bus.tables.versions import forget_gone, gone, known_version, pack, unpack, version_in
from schemas.topics import Topic

log = logging.getLogger(__name__)

# Topic keys are texts without a zero byte.
_TOPIC_KEY = b"\x00topic"
_NAME_KEY = b"\x00name"
_POSITION_KEY = b"\x00position/%d"
_VERSIONED_KEY = b"\x00versioned"
_BATCH = 5_000
_POLL_MS = 2_000
"""How long a poll waits. Only after it is it known that a partition ends in offsets without records."""

_PURGE_BATCH = 1_000

Merge = Callable[[bytes | None, Any], bytes | None]
"""Computes a key's new row from its current row and the next record; None deletes it."""


class Replica:
    """A copy of one topic. `merge` turns a record into its row; by default, the newest value is the row.

    `versioned`: records carry their version in a header (`bus/tables/versions.py`), and the highest version wins,
    whichever was written last. `since` returns the time (ms) from which a new copy begins; by default it begins with
    everything. `on_key` is called with every key that is read.
    """

    def __init__(
        self,
        settings: BusSettings,
        topic: Topic,
        store: Store,
        merge: Merge | None = None,
        *,
        versioned: bool = False,
        since: Callable[[], int] | None = None,
    ) -> None:
        self.topic = topic
        self.topic_id: str | None = None
        self.positions: dict[int, int] = {}
        self.problem: str | None = None
        self.on_key: Callable[[bytes], None] = lambda key: None
        self._settings = settings
        self._store = store
        self._merge = merge
        self._versioned = versioned
        self._since = since
        self._ends: dict[int, int] = {}
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()

    def get(self, key: bytes) -> bytes | None:
        """Return the row of a key, or None. Raises StoreFailed; the copy is then unusable, and a restart makes a new
        one."""
        return self.get_many((key,))[0]

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the rows of keys, in order, like `get`. Raises StoreFailed."""
        try:
            rows = self._store.get_many(keys)
        except StoreFailed as error:
            self.problem = f"the copy of {self.topic.name} cannot be read: {error}"
            log.critical("%s", self.problem)
            if self._task is not None:
                self._task.cancel()
            raise
        return [None if row is None else unpack(row)[1] for row in rows] if self._versioned else rows

    def every_key(self) -> Iterator[bytes]:
        """Yield every key. Reads every row, so use it only at startup."""
        return (key for key, _ in self._store.items() if not key.startswith(b"\x00"))

    def values(self) -> Iterator[bytes]:
        """Yield every row of a small copy."""
        return (value for key, value in self._store.items() if not key.startswith(b"\x00"))

    @property
    def left(self) -> int:
        """Number of records still to be read of those that existed at the start."""
        return sum(max(0, end - self.positions.get(partition, 0)) for partition, end in self._ends.items())

    async def start(self) -> None:
        """Continue reading in the background.

        Raises UnknownTopic, BrokerUnavailable, and TopicMadeAnew if the copy is of an earlier topic of the same name.
        """
        found = await asyncio.to_thread(self._look)
        name = self._store.get(_NAME_KEY)
        if name is not None and name != self.topic.name.encode():
            log.warning("the copy is of %s, not of %s: reading it again from the start", name.decode(), self.topic.name)
            self._store.wipe()
        if self._versioned and self._store.get(_VERSIONED_KEY) is None:
            # Rows without a version cannot be ordered.
            self._store.wipe()
            self._store.write({_VERSIONED_KEY: b""}, None)
        if self._versioned:
            await asyncio.to_thread(forget_gone, self._store)
        known = self._store.get(_TOPIC_KEY)
        if known is not None and known != found.id.encode():
            raise TopicMadeAnew(f"{self.topic.name} was deleted and recreated since it was copied")
        self._store.write({_TOPIC_KEY: found.id.encode(), _NAME_KEY: self.topic.name.encode()}, None)
        self.topic_id = found.id
        self._ends = dict(found.ends)
        self._consumer = new_consumer(
            self._settings,
            max_partition_fetch_bytes=4 << 20,
        )
        await self._consumer.start()
        self._consumer.assign([aiokafka.TopicPartition(self.topic.name, partition) for partition in found.ends])
        firsts = await self._firsts(found)
        for partition, begin in found.begins.items():
            stored = self._store.get(_POSITION_KEY % partition)
            at = firsts[partition] if stored is None else int.from_bytes(stored, "big")
            self.positions[partition] = max(begin, at)
        self._seek_back()
        self._task = asyncio.create_task(self._follow())

    async def _firsts(self, found: TopicLog) -> Mapping[int, int]:
        """Return where a new copy begins, by partition."""
        if self._since is None:
            return found.begins
        at = self._since()
        wanted = {aiokafka.TopicPartition(self.topic.name, partition): at for partition in found.ends}
        places = await insist("where a copy begins", lambda: self._consumer.offsets_for_times(wanted))
        return {tp.partition: found.ends[tp.partition] if places[tp] is None else places[tp].offset for tp in wanted}

    async def stop(self) -> None:
        """Stop reading and release the store."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._consumer is not None:
            await self._consumer.stop()
        self._store.close()

    def wipe(self) -> None:
        """Delete everything, so that the next start reads the topic from its beginning."""
        self._store.wipe()

    async def reach(self, partition: int, offset: int) -> None:
        """Wait until the record at this offset is in the copy."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.positions.get(partition, 0) > offset)

    async def purge(self, is_dead: Callable[[bytes], bool]) -> int:
        """Delete expired rows; returns their number."""
        dead: dict[bytes, bytes | None] = {}
        for number, (key, value) in enumerate(self._store.items()):
            if not key.startswith(b"\x00") and is_dead(value):
                dead[key] = None
            if number % _PURGE_BATCH == 0:
                await asyncio.sleep(0)
        self._store.write(dead, None)
        return len(dead)

    def _look(self) -> TopicLog:
        with Admin(self._settings) as admin:
            found = admin.logs([self.topic.name])
        if self.topic.name not in found:
            raise UnknownTopic(f"there is no topic {self.topic.name!r} at {self._settings.bootstrap_servers}")
        return found[self.topic.name]

    async def _follow(self) -> None:
        while True:
            try:
                await self._take(await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH))
            except aiokafka.errors.KafkaError as error:
                log.warning("%s cannot be read right now: %s", self.topic.name, type(error).__name__)
                await asyncio.sleep(1)
                self._seek_back()
            except Exception as error:
                # A stalled copy is noticed by whoever checks its age.
                self.problem = f"the copy of {self.topic.name} cannot be updated: {type(error).__name__}: {error}"
                log.critical("%s", self.problem)
                raise

    def _seek_back(self) -> None:
        # The client's position is past the records it returned, but an error may have kept them from the store.
        for partition, at in self.positions.items():
            self._consumer.seek(aiokafka.TopicPartition(self.topic.name, partition), at)

    async def _take(self, batches: dict[Any, list[Any]]) -> None:
        rows: dict[bytes, bytes | None] = {}
        versions: dict[bytes, int] = {}
        for records in batches.values():
            for record in records:
                if record.key is None:
                    continue
                self.on_key(record.key)
                if self._versioned:
                    self._take_newer(rows, versions, record)
                elif self._merge is None:
                    rows[record.key] = record.value
                else:
                    known = rows[record.key] if record.key in rows else self._store.get(record.key)
                    rows[record.key] = self._merge(known, record)
        # A compacted partition may end in offsets without a record.
        moved = {tp.partition: await self._consumer.position(tp) for tp in self._consumer.assignment()}
        moved = {partition: at for partition, at in moved.items() if at != self.positions[partition]}
        if moved:
            rows |= {_POSITION_KEY % partition: at.to_bytes(8, "big") for partition, at in moved.items()}
            self._store.write(rows, None)
            async with self._moved:
                self.positions |= moved
                self._moved.notify_all()

    def _take_newer(self, rows: dict[bytes, bytes | None], versions: dict[bytes, int], record: Any) -> None:
        """Apply a record, unless something newer is known about its key."""
        key, version = record.key, version_in(record.headers) or 0
        known = versions[key] if key in versions else known_version(self._store, key)
        if version < known:
            log.warning("ignoring %s[%d] offset %d: it is older than an earlier record of its key",
                        record.topic, record.partition, record.offset)  # fmt: skip
            return
        versions[key] = version
        rows[key] = None if record.value is None else pack(version, record.value)
        if record.value is None:
            rows |= gone(key, version)
