"""Moves an installation to topics under another prefix, with more partitions: permanent state, and waiting records.

Records are copied with their headers and times. Rows of tables go to the new partitions of their recipients
(`placing.py`). Processed history (callbacks, receipts, events) stays where it is, and can be read there until its
retention ends.

A copy that was aborted can be repeated. Compacted topics are then copied again, which changes nothing: the newest value
of each key comes last. Records of other topics name their source in a header, and those that are there already are
skipped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from accounts.model import CONFIG_TOPICS
from bus.admin import Admin, Partition
from bus.clients import new_producer
from bus.losses import OPT_OUTS
from bus.producer import MAX_REQUEST_BYTES, partition_of
from bus.reading.topic import BEGINNING, END, Start
from bus.settings import BusSettings
from operations.losses import unread
from schemas.cloudevents import header
from schemas.codec import Codec
from schemas.registry import registry_for
from schemas.topics import Topic
from sinks.webhooks.delay_tiers import group_of
from sinks.webhooks.sink import TOPICS as WEBHOOK_INPUTS
from streams.app import CLICK_INPUTS, CONTACT_INPUTS
from streams.copied import WRITTEN_AT
from trackly.commands.topics.placing import TABLES, of_row
from trackly.errors import Failed
from trackly.progress import Progress
from trackly.reading import open_topic
from trackly.writing import Unacknowledged

INPUTS = {"streams": ("raw", *CONTACT_INPUTS, *CLICK_INPUTS), "sinks": WEBHOOK_INPUTS}
"""Topics (catalogue short names) that services process in order. Records not processed yet are moved."""

SETTINGS = tuple(CONFIG_TOPICS)
"""Topics of settings, without which ingest refuses every callback."""

GROUP = "grow"
"""The group that keeps, under the new prefix, what has been copied to it, and from which prefix."""

COPIED_FROM = "copied_from"
"""Header of a copied record: partition and offset of its source."""

KEPT = ("webhooks_dead", "audit", "api_requests")
"""Topics that are moved although they are not compacted: people and programs still use their content."""

LEFT = ("webhooks_replays",)
"""Compacted topics that are not moved: their records refer to positions in topics that stay behind."""

HELD = ("webhooks_parked",)
"""Topics whose records wait, like those of the delay topics."""

GONE_AFTER = 15.0
"""Seconds after which a process that has ended has left its group: its session ends after 10."""


def moved(settings: BusSettings) -> list[Topic]:
    """Return the topics whose records are moved."""
    return [
        topic
        for key, topic in settings.catalogue.items()
        if key not in LEFT and (topic.compacted or key in (*KEPT, *HELD) or topic.delay_ms is not None)
    ]


def check(admin: Admin, old: BusSettings, new: BusSettings) -> None:
    """Check that no process works on the moved topics. Raises Failed with the remedy."""
    if not admin.identities(topic.name for topic in old.catalogue.values()):
        raise Failed(f"No trackly topics begin with {old.topic_prefix!r}.")
    check_unused(admin, old, new)
    wait_for_the_end(admin, old, *INPUTS)
    check_nothing_is_lost(admin, old)


def check_nothing_is_lost(admin: Admin, settings: BusSettings) -> None:
    """Check that retention has deleted nothing that streams has neither read nor recorded as lost: under the new
    prefix, nobody would notice. Raises Failed."""
    group = settings.group("streams")
    committed = admin.group_offsets(group)
    logs = admin.logs(settings.catalogue[topic].name for topic in OPT_OUTS)
    if gaps := unread(settings.catalogue, group, committed, logs):
        count, topics = sum(gap.count for gap in gaps.values()), ", ".join(sorted({name for name, _ in gaps}))
        raise Failed(
            f"Retention has deleted {count:,} records of {topics} that streams has not read, and opt-outs may be among"
            f" them. Start streams once under {settings.topic_prefix!r}, which records it; stop it, then grow."
        )


def check_unused(admin: Admin, old: BusSettings, new: BusSettings) -> None:
    """Check that the new topics hold nothing but what was copied from the old ones. Raises Failed."""
    if has_begun(admin, old, new):
        for service in INPUTS:
            if admin.group_offsets(new.group(service)):
                raise Failed(
                    f"{service} has run under {new.topic_prefix!r} before everything was copied: copying again would"
                    " undo what has happened since. Choose an unused prefix."
                )
        return
    # Ingest may write there already, and counts what it sees.
    names = (topic.name for topic in moved(new) if topic.id != "callbacks_seen")
    used = [name for name in admin.identities(names) if any(admin.end_offsets(name).values())]
    if used:
        raise Failed(f"{used[0]} already has records: choose an unused prefix.")


def has_begun(admin: Admin, old: BusSettings, new: BusSettings) -> bool:
    """Whether records have been copied from the old topics to the new ones, and not all of them yet."""
    return admin.note(new.group(GROUP), new.catalogue["raw"].name) == _beginning(old)


def note_beginning(admin: Admin, old: BusSettings, new: BusSettings) -> None:
    """Note that copying begins."""
    admin.write_note(new.group(GROUP), new.catalogue["raw"].name, _beginning(old))


def note_end(admin: Admin, new: BusSettings) -> None:
    """Note that everything is copied: another copy would undo what has happened since."""
    admin.write_note(new.group(GROUP), new.catalogue["raw"].name, "done")


def _beginning(old: BusSettings) -> str:
    return f"from {old.topic_prefix!r}"


def wait_for_the_end(admin: Admin, settings: BusSettings, *services: str) -> None:
    """Wait until no process of these services is in its group. Raises Failed if some stay."""
    deadline = time.monotonic() + GONE_AFTER
    while runs := [service for service in services if admin.has_members(settings.group(service))]:
        if time.monotonic() > deadline:
            raise Failed(f"{' and '.join(runs)} {'run' if runs[1:] else 'runs'}: stop all its processes first.")
        time.sleep(0.5)


async def copy(old: BusSettings, new: BusSettings, *, again: bool = False, settings_only: bool = False) -> Counter[str]:
    """Copy the moved topics; returns records written, by topic. Raises Failed, aiokafka.errors.KafkaError.

    `again`: an earlier copy was aborted. `settings_only`: only accounts, lists, endpoints, and API keys.
    """
    codec = Codec(registry_for(old.schema_registry_url))
    producer = new_producer(
        new,
        acks="all",
        enable_idempotence=True,
        linger_ms=20,
        max_request_size=MAX_REQUEST_BYTES,
        max_batch_size=131_072,
    )
    written: Counter[str] = Counter()
    try:
        await producer.start()
        starts = {old.catalogue[key]: BEGINNING for key in SETTINGS} if settings_only else _starts(old)
        for topic, start in starts.items():
            target = new.catalogue[topic.id]
            copied = await _copied(new, target) if again and not topic.compacted else {}
            written[target.name] = await _copy(producer, old, topic, start, target, codec, copied)
    finally:
        await producer.stop()
    return written


Copied = Mapping[tuple[int, int], int]
"""The newest copied offset, by source and target partition: what goes from one to the other keeps its order."""


async def _copied(new: BusSettings, target: Topic) -> Copied:
    newest: dict[tuple[int, int], int] = {}
    async with open_topic(new, target.name, BEGINNING, end=END) as there:
        async for record in there.rest():
            source = header(record.headers, COPIED_FROM)
            if source is not None:
                partition, _, offset = source.partition(b"/")
                newest[int(partition), record.partition] = int(offset)
    return newest


async def _copy(
    producer: Any, old: BusSettings, topic: Topic, start: Start, target: Topic, codec: Codec, copied: Copied
) -> int:
    placed = places(topic, target, codec)
    written, sent = 0, Unacknowledged()
    async with open_topic(old, topic.name, start) as source:
        progress = Progress(topic.name, source.size)
        async for record in source.rest():
            headers = list(record.headers)
            if not topic.compacted:
                headers.append((COPIED_FROM, b"%d/%d" % (record.partition, record.offset)))
            if topic.id == "commands" and header(record.headers, WRITTEN_AT) is None:
                headers.append((WRITTEN_AT, b"%d" % record.timestamp))
            for partition in placed(record):
                if record.offset <= copied.get((record.partition, partition), -1):
                    continue
                await sent.add(
                    await producer.send(
                        target.name,
                        record.value,
                        key=record.key,
                        partition=partition,
                        timestamp_ms=record.timestamp,
                        headers=headers,
                    )
                )
                written += 1
            progress.add(1)
        await sent.wait()
        progress.end()
    return written


def places(topic: Topic, target: Topic, codec: Codec) -> Callable[[Any], Iterable[int]]:
    """Determines the partitions of `target` to which a record of `topic` belongs."""
    if topic.id in TABLES:
        return lambda record: of_row(
            topic.id, record.key, record.value, (record.partition, topic.partitions), target.partitions, codec
        )
    if topic.partitions == target.partitions or topic.delay_ms is not None or topic.id in HELD:
        # In a delay topic the partition is part of the delay.
        return lambda record: (record.partition,)
    return lambda record: (partition_of(record.key or b"", target.partitions),)


def _starts(old: BusSettings) -> dict[Topic, Start]:
    """What to copy, and from which offsets."""
    starts = dict.fromkeys(moved(old), BEGINNING)
    with Admin(old) as admin:
        existing = admin.identities(topic.name for topic in old.catalogue.values())
        for service, keys in INPUTS.items():
            committed = admin.group_offsets(old.group(service))
            starts |= {old.catalogue[key]: _from(committed, old.catalogue[key]) for key in keys}
        for topic in moved(old):
            if topic.delay_ms is not None or topic.id in HELD:
                starts[topic] = _from(admin.group_offsets(group_of(topic, old)), topic)
    return {topic: start for topic, start in starts.items() if topic.name in existing}


def _from(committed: Mapping[Partition, int], topic: Topic) -> Start:
    return Start(offsets={partition: offset for (name, partition), offset in committed.items() if name == topic.name})
