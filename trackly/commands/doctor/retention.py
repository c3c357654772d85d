"""Warns before a loss: records that nobody has read and that Kafka will soon delete, for their age or their size.

Kafka deletes whole segments, once the newest record of one is too old, or the segments after it are large enough: a
record lives at least as long as is said here.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bus.admin import Admin, Partition, TopicDescription, TopicLog
from bus.clock import now_ms
from bus.losses import opt_outs_in
from bus.reading.outside import TopicPartition, times_at
from bus.settings import BusSettings
from database.engine import disposing, open_engine
from database.read_state import positions_in
from schemas.records import OF_NOBODY
from sinks.webhooks.delay_tiers import group_of
from trackly.commands.doctor.findings import Finding, Level
from trackly.commands.topics.growing import HELD, INPUTS

NEAR = 0.5
"""Share of a retention, in time or bytes, after which unread records are reported."""

CRITICAL = 0.75
"""Share after which it is an error, if opt-outs may be among the records."""

_SPANS = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


class Reader(NamedTuple):
    """Where a consumer group, or the read model, reads next. `service` is the command that runs it."""

    name: str
    service: str
    offsets: Mapping[Partition, int]


class Unread(NamedTuple):
    """What a reader has not read of a partition: how many records, the age (ms) of the oldest, and the size (bytes) of
    all. None: not known, or far from what is kept."""

    topic: str
    records: int
    age: int | None
    size: int | None


class Kept(NamedTuple):
    """How much of a topic's partition Kafka keeps: time (ms) and bytes. None: without limit."""

    time: int | None
    size: int | None

    @classmethod
    def of(cls, topic: TopicDescription) -> Kept:
        """Return it by the topic's settings."""
        if "delete" not in topic.settings["cleanup.policy"]:
            return cls(None, None)
        found = (int(topic.settings[name]) for name in ("retention.ms", "retention.bytes"))
        return cls(*(value if value >= 0 else None for value in found))


def unread_soon_deleted(settings: BusSettings, database: str | None) -> Iterator[Finding]:
    """Report it. `database` is the URL of the read model's; None: leave it out.

    Raises AdminError, aiokafka.errors.KafkaError.
    """
    with Admin(settings) as admin:
        names = [topic.name for topic in settings.catalogue.values()]
        kept = {name: Kept.of(topic) for name, topic in admin.describe(names).items()}
        logs = admin.logs(kept) if kept else {}
        for reader in (*_groups(admin, settings, logs), *_read_model(database, logs)):
            yield from near(reader, _unread(admin, settings, reader, kept, logs), kept, settings)


def near(
    reader: Reader, unread: Iterable[Unread], kept: Mapping[str, Kept], settings: BusSettings
) -> Iterator[Finding]:
    """Report what is near its deletion, a finding for each topic and kind of limit."""
    by_topic: defaultdict[str, list[Unread]] = defaultdict(list)
    for each in unread:
        by_topic[each.topic].append(each)
    for topic, found in by_topic.items():
        limit, count = kept[topic], sum(each.records for each in found)
        waits = f"{count:,} {'record' if count == 1 else 'records'} of {topic} {'waits' if count == 1 else 'wait'}"
        age = max((each.age for each in found if each.age is not None), default=0)
        if limit.time is not None and age > NEAR * limit.time:
            left = limit.time - age
            when = f"in {span(left)} at the earliest" if left > 0 else "at any moment"
            yield Finding(
                "retention", "time", _level(reader, topic, age / max(1, limit.time), settings),
                f"{waits} for {reader.name}; the oldest is {span(age)} old, and Kafka deletes it {when}"
                f" (retention.ms={limit.time})",
                _remedy(reader, topic, "retention.ms", 2 * limit.time, settings),
            )  # fmt: skip
        size = max((each.size for each in found if each.size is not None), default=0)
        if limit.size is not None and size > NEAR * limit.size:
            yield Finding(
                "retention", "bytes", _level(reader, topic, size / max(1, limit.size), settings),
                f"{waits} for {reader.name}; in a partition, they have about {size:,} of the {limit.size:,} bytes after"
                " which Kafka deletes the oldest (retention.bytes)",
                _remedy(reader, topic, "retention.bytes", 2 * limit.size, settings),
            )  # fmt: skip


def span(millis: int) -> str:
    """Return a time for people, in its largest unit: `3.5 days`."""
    size, unit = next((each for each in _SPANS if millis >= each[0]), _SPANS[-1])
    return f"{millis / size:.1f} {unit}"


def _level(reader: Reader, topic: str, share: float, settings: BusSettings) -> Level:
    return "error" if share > CRITICAL and opt_outs_in(topic, reader.name, settings) != OF_NOBODY else "warning"


def _remedy(reader: Reader, topic: str, setting: str, value: int, settings: BusSettings) -> str:
    start = f"Start `trackly {reader.service}`; if it runs, its /readyz says why it is behind."
    known = settings.catalogue.named(topic)
    if known is None or known.id.startswith("webhooks_"):
        return start
    own = topic.removeprefix(settings.catalogue.prefix)
    return (
        f"{start} To gain time, run `kafka-configs.sh --alter --topic {topic} --add-config {setting}={value}`, and set"
        f" TRACKLY_TOPIC_SETTINGS={own}:{setting}={value}."
    )


def _groups(admin: Admin, settings: BusSettings, logs: Mapping[str, TopicLog]) -> Iterator[Reader]:
    catalogue = settings.catalogue
    for service, topics in INPUTS.items():
        yield _group(admin, settings.group(service), service, [catalogue[topic].name for topic in topics], logs)
    for topic in (*catalogue.delay_tiers, *(catalogue[each] for each in HELD)):
        yield _group(admin, group_of(topic, settings), "sinks", [topic.name], logs)
    mirror = settings.group("mirror")
    yield Reader(mirror, "mirror", admin.group_offsets(mirror))


def _group(admin: Admin, group: str, service: str, topics: Iterable[str], logs: Mapping[str, TopicLog]) -> Reader:
    """Return a group that reads from the beginning what it has not committed."""
    begins = {(name, partition): at for name in topics if name in logs for partition, at in logs[name].begins.items()}
    committed = admin.group_offsets(group)
    return Reader(group, service, {place: committed.get(place, begin) for place, begin in begins.items()})


def _read_model(url: str | None, logs: Mapping[str, TopicLog]) -> Iterator[Reader]:
    if url is None:
        return
    with disposing(open_engine(url, read_only=True)) as engine, engine.connect() as connection:
        stored = positions_in(connection)
    offsets = {place: at for place, (id_, at) in stored.items() if place[0] in logs and logs[place[0]].id == id_}
    yield Reader("the read model", "read-model", offsets)


def _unread(
    admin: Admin, settings: BusSettings, reader: Reader, kept: Mapping[str, Kept], logs: Mapping[str, TopicLog]
) -> Iterator[Unread]:
    now = now_ms()
    waiting = {
        place: max(at, logs[place[0]].begins[place[1]])
        for place, at in reader.offsets.items()
        if place[0] in logs and at < logs[place[0]].ends.get(place[1], 0)
    }
    limits = {place: kept[place[0]] for place in waiting}
    near_since = {place: now - int(NEAR * limit.time) for place, limit in limits.items() if limit.time is not None}
    firsts = admin.offsets_since(near_since)
    old = {place: waiting[place] for place, first in firsts.items() if first is None or waiting[place] < first}
    times = asyncio.run(times_at(settings, {TopicPartition(*place): at for place, at in old.items()})) if old else {}
    limited = {place[0] for place, limit in limits.items() if limit.size is not None}
    sizes = admin.sizes(limited) if limited else {}
    for place, at in waiting.items():
        log = logs[place[0]]
        records, all_records = log.ends[place[1]] - at, log.ends[place[1]] - log.begins[place[1]]
        # Without an answer, it is at least as old as the first that is not.
        age = now - times.get(TopicPartition(*place), near_since[place] - 1) if place in old else None
        size = sizes[place] * records // max(1, all_records) if place in sizes else None
        yield Unread(place[0], records, age, size)
