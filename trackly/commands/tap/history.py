"""Reads a range of a topic's past: matching records, with progress and a resumable position."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bus.reading.topic import STALLED, Start, Topic
from bus.settings import BusSettings
from schemas.codec import CodecError, Registry
from schemas.fields import FieldReader
from schemas.pii import personal_fields
from trackly.conditions import MISSING, Condition, value_at
from trackly.decoding import KafkaRecord, is_time, plain, time_text
from trackly.errors import Failed
from trackly.output import is_unread
from trackly.progress import Progress
from trackly.reading import open_topic

BATCH = 4_000
"""Records read at a time: enough for speed, few enough to bound memory."""

SAVE_EVERY = 5.0
"""Seconds between saves of the position."""

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What to read of a topic. Without an `end`, what existed at the start or, with `follow`, forever."""

    topic: str
    start: Start
    end: Start | None = None
    conditions: Sequence[Condition] = ()
    follow: bool = False
    timeout: float | None = None


class Sink(Protocol):
    """Takes a topic's records, oldest first in each partition."""

    def take(self, records: Sequence[KafkaRecord]) -> int | None:
        """Return how many of them were wanted; None to stop."""

    def checkpoint(self, last: bool) -> Mapping[str, Any] | None:
        """Make what was taken durable; returns what to store with the position. None: not yet."""


class Position:
    """How far a topic has been read, stored in a file, so that a later run can continue."""

    def __init__(self, path: Path, question: HistoryQuery) -> None:
        self._path = path
        self._asked = {
            "topic": question.topic,
            "where": [f"{c.path}{c.sign}{c.expected}" for c in question.conditions],
        }
        self._saved: dict[str, Any] = self._load()
        self._topic_id: str | None = self._saved.get("topic_id")

    @property
    def next(self) -> dict[int, int]:
        """Next offset by partition; empty on the first run."""
        return {int(partition): offset for partition, offset in self._saved.get("next", {}).items()}

    @property
    def remembered(self) -> Mapping[str, Any]:
        """What the sink asked to remember."""
        found: Mapping[str, Any] = self._saved.get("sink", {})
        return found

    def check(self, topic_id: str) -> None:
        """Record the topic's identity. Raises Failed if the position belongs to an earlier topic of the same name."""
        known = self._saved.get("topic_id", topic_id)
        if known != topic_id:
            raise Failed(
                f"{self._asked['topic']} was deleted and recreated since {self._path} was written: its offsets refer "
                f"to other records. Remove {self._path} to start over, and name another output file."
            )
        self._topic_id = topic_id

    def save(self, positions: Mapping[int, int], remembered: Mapping[str, Any]) -> None:
        """Write the position atomically."""
        known = {} if self._topic_id is None else {"topic_id": self._topic_id}
        self._saved = {
            **self._asked,
            **known,
            "next": {str(p): at for p, at in positions.items()},
            "sink": dict(remembered),
        }
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.write_text(json.dumps(self._saved, indent=1) + "\n", "utf-8")
        beside.replace(self._path)

    def _load(self) -> dict[str, Any]:
        try:
            saved: dict[str, Any] = json.loads(self._path.read_text("utf-8"))
            asked = {key: saved[key] for key in self._asked}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError):
            raise Failed(f"{self._path} is not a `trackly tap` position: name another file, or remove it.") from None
        if asked != self._asked:
            raise Failed(f"{self._path} is the position of a different query ({asked}): choose another file.")
        return saved


class FieldRows:
    """The values of some fields, for a topic's matching records: times in milliseconds, bytes unchanged.

    A record without a value has None for each field, and matches only without conditions. `unreadable` counts records
    that are not the topic's.
    """

    def __init__(
        self, registry: Registry, record: str, conditions: Sequence[Condition], names: Collection[str] | None = None
    ) -> None:
        if "secret" in personal_fields(record).values():
            raise Failed(
                f"{record} holds secrets: it is shown record by record, by `trackly tap` without these options."
            )
        asked = None if names is None else {*names, *(condition.field for condition in conditions)}
        self._reader = FieldReader(registry, record, asked)
        self.fields = [field for field in self._reader.fields if names is None or field["name"] in names]
        known = {field["name"]: field["type"] for field in self._reader.fields}
        for name in [*(names or ()), *(condition.field for condition in conditions)]:
            if name not in known:
                raise Failed(f"{record} has no field {name!r}; docs/topics lists its fields.")
        self._checks = [(c, is_time(known[c.field]), "." in c.path) for c in conditions]
        self.unreadable = 0

    def read(self, record: KafkaRecord) -> Values | None:
        """Return the values, or None for a record that does not match or cannot be read."""
        if record.value is None:
            return None if self._checks else {field["name"]: None for field in self.fields}
        try:
            values = self._reader.read(record.value)
        except CodecError:
            self.unreadable += 1
            return None
        for condition, timed, nested in self._checks:
            value = values[condition.field]
            if timed and value is not None:
                value = time_text(value)
            if nested:
                value = value_at({condition.field: value}, condition.path)
            if value is MISSING or not condition.admits(plain(value)):
                return None
        return values


async def read_history(
    settings: BusSettings, question: HistoryQuery, sink: Sink, position: Position | None = None, quiet: bool = False
) -> None:
    """Feed a sink the requested records, and save the position on the way. Raises Failed, BrokerUnavailable."""
    opening = open_topic(
        settings, question.topic, question.start, end=question.end, positions=position.next if position else None
    )
    async with opening as topic:
        if position is not None:
            position.check(topic.id)
        progress = None if quiet else Progress("records", topic.size)
        is_whole = True
        try:
            await _read(topic, question, sink, position, progress.add if progress else lambda records: None)
        except Exception:
            # The sink may have taken half of a batch: the last saved position is right for both.
            is_whole = False
            raise
        finally:
            if progress is not None:
                progress.end()
            if is_whole:
                await _save(topic, sink, position, last=True)


async def _read(
    topic: Topic, question: HistoryQuery, sink: Sink, position: Position | None, count: Callable[[int], None]
) -> None:
    wanted_at = moved_at = saved_at = time.monotonic()
    while True:
        behind = await topic.is_behind()
        now = time.monotonic()
        if not behind and not question.follow:
            return
        if not behind and question.timeout is not None and now - wanted_at >= question.timeout:
            return
        if behind and now - moved_at > STALLED:
            raise Failed(f"Kafka returned no records for {STALLED:g} s although more exist. Try again.")
        records = await topic.poll(0.2, BATCH)
        wanted = sink.take(records)
        if wanted is None:
            return
        now = time.monotonic()
        if records or not behind:
            moved_at = now
        if wanted:
            wanted_at = now
        count(len(records))
        if now - saved_at >= SAVE_EVERY:
            await _save(topic, sink, position)
            saved_at = now
        # A write would reveal it, but only with the next record.
        if is_unread():
            return


async def _save(topic: Topic, sink: Sink, position: Position | None, last: bool = False) -> None:
    if position is not None and (remembered := sink.checkpoint(last)) is not None:
        position.save(await topic.positions(), remembered)
