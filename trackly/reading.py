"""Reads topics from the outside: without a consumer group, so that nothing else notices."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, TypeVar

from accounts.model import CONFIG_TOPICS, Accounts
from accounts.store import AccountsReader, SettingsReader
from bus.admin import Admin
from bus.clock import now_ms
from bus.producer import partition_of
from bus.reading.outside import TopicPartition, outside_consumer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.records import AccountConfig
from schemas.registry import registry_for
from schemas.topics import parse_duration
from trackly.decoding import KafkaRecord
from trackly.errors import Failed, TopicsMissing, check_topics

READ_BACK = 15.0
"""Seconds in which settings that were written must be readable."""

MOST_NAMED = 10
"""Accounts that an error names."""

STALLED = 20.0
"""Seconds without a record after which a topic that should give one counts as unreadable."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin in each partition: an offset, or the first record not older than a time (milliseconds).

    `offsets` are by partition; others begin at the beginning or at the end, and so do all where nothing is said.
    """

    offset: int | None = None
    offsets: Mapping[int, int] | None = None
    millis: int | None = None
    at_end: bool = False


R = TypeVar("R", bound=SettingsReader[Any])

BEGINNING = Start()
END = Start(at_end=True)


def parse_start(text: str) -> Start:
    """Start of `beginning`, `end`, an offset, an ISO 8601 time, by default in UTC, or a time ago (`2h`).

    Raises ValueError.
    """
    if text in ("beginning", "end"):
        return END if text == "end" else BEGINNING
    if re.fullmatch(r"[0-9]{1,18}", text):
        return Start(offset=int(text))
    if re.fullmatch(r"[0-9]{1,9}(s|m|h|d)", text):
        return Start(millis=now_ms() - parse_duration(text))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a valid place to begin: write beginning, end, an offset such as 1200, a time such as"
            " 2024-01-15T10:30:00Z, or 2h for two hours ago"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return Start(millis=int(when.timestamp() * 1000))


def find_topic(settings: BusSettings, name: str, existing: Iterable[str]) -> str:
    """The topic that is meant, by its name with or without the prefix. Raises Failed with close names."""
    prefix = settings.topic_prefix
    names = set(existing)
    for candidate in (name, prefix + name):
        if candidate in names:
            return candidate
    if settings.catalogue.named(name) is not None:
        raise TopicsMissing([name])
    ours = sorted({n.removeprefix(prefix) for n in names if n.startswith(prefix)})
    close = get_close_matches(name, ours, n=3) or [n for n in ours if name in n][:3]
    hint = f"Did you mean {' or '.join(close)}?" if close else "`trackly topics list` names those there are."
    raise Failed(f"There is no topic {name!r}. {hint}")


class Topic:
    """One topic, read from a start on. Use `open_topic`."""

    def __init__(
        self, consumer: Any, starts: dict[Any, int], ends: dict[Any, int], bounded: bool, topic_id: str = ""
    ) -> None:
        self.id = topic_id
        """Kafka's own: a topic that is deleted and made again has another one."""
        self._consumer = consumer
        self._ends = ends
        self._bounded = bounded
        self.size = sum(max(0, ends[partition] - start) for partition, start in starts.items())
        """Offsets between start and end when the topic was opened; compacted topics have fewer records."""

    async def poll(self, seconds: float, most: int | None = None) -> list[KafkaRecord]:
        """What has come, oldest first in each partition; waits that long for a first record.

        Where the end was given, nothing behind it.
        """
        batches = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        if self._bounded:
            for partition, records in batches.items():
                if records[-1].offset >= self._ends[partition]:
                    batches[partition] = [record for record in records if record.offset < self._ends[partition]]
                    self._consumer.pause(partition)
        return [record for records in batches.values() for record in records]

    async def positions(self) -> dict[int, int]:
        """Offset that is read next, by partition."""
        found = {partition: await self._consumer.position(partition) for partition in self._ends}
        return {p.partition: min(at, self._ends[p]) if self._bounded else at for p, at in found.items()}

    async def is_behind(self) -> bool:
        """Whether records are still to be read that were there when the topic was opened."""
        for partition, end in self._ends.items():
            if await self._consumer.position(partition) < end:
                return True
        return False

    async def rest(self) -> AsyncIterator[KafkaRecord]:
        """Every record that was there when the topic was opened. Raises Failed when Kafka gives no more."""
        moved = time.monotonic()
        while await self.is_behind():
            records = await self.poll(0.2)
            for record in records:
                yield record
            if records:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALLED:
                raise Failed(f"Kafka returned no records for {STALLED:g} s although more exist. Try again.")

    async def value_at(self, partition: int, offset: int) -> bytes | None:
        """Value of one record, or None where it is gone. What is read afterwards goes on behind it."""
        found = next((tp for tp in self._ends if tp.partition == partition), None)
        if found is None or offset >= self._ends[found]:
            return None
        self._consumer.pause(*(tp for tp in self._ends if tp != found))
        self._consumer.resume(found)
        self._consumer.seek(found, offset)
        moved = time.monotonic()
        while time.monotonic() - moved < STALLED:
            records = (await self._consumer.getmany(found, timeout_ms=200, max_records=1)).get(found, [])
            if records:
                value: bytes | None = records[0].value
                return value if records[0].offset == offset else None
        raise Failed(f"Kafka returned no records for {STALLED:g} s although more exist. Try again.")


@asynccontextmanager
async def open_topic(
    settings: BusSettings,
    name: str,
    start: Start,
    key: bytes | None = None,
    *,
    end: Start | None = None,
    positions: Mapping[int, int] | None = None,
) -> AsyncIterator[Topic]:
    """Open a topic by name, with or without the prefix; with a key, only the partition that holds it.

    With an `end`, what lies behind it is not given. `positions`, by partition, win over the start. Raises Failed for
    an unknown topic, BrokerUnavailable.
    """
    with Admin(settings) as admin:
        topic = find_topic(settings, name, admin.list_topics())
        begins, ends = admin.begin_offsets(topic), admin.end_offsets(topic)
        topic_id = admin.identities([topic])[topic].id
    partitions = sorted(ends) if key is None else [partition_of(key, len(ends))]
    async with outside_consumer(settings) as consumer:
        assigned = {p: TopicPartition(topic, p) for p in partitions}
        consumer.assign(list(assigned.values()))
        if end is not None:
            ends = await _offsets(consumer, assigned, end, begins, ends)
        offsets = await _offsets(consumer, assigned, start, begins, ends)
        for partition, offset in (positions or {}).items():
            if partition in offsets:
                offsets[partition] = max(offset, begins[partition])
        for partition, offset in offsets.items():
            consumer.seek(assigned[partition], offset)
        yield Topic(
            consumer,
            {assigned[p]: offset for p, offset in offsets.items()},
            {assigned[p]: ends[p] for p in partitions},
            bounded=end is not None,
            topic_id=topic_id,
        )


async def read_accounts(settings: BusSettings, codec: Codec) -> Accounts:
    """The settings of all accounts as they are now. Raises Failed when their topics do not exist."""
    async with follow_accounts(settings, codec) as reader:
        return reader.view


def current_accounts() -> Accounts:
    """The settings of all accounts as they are now, for a command that needs nothing else. Raises Failed."""
    settings = BusSettings()
    return asyncio.run(read_accounts(settings, Codec(registry_for(settings.schema_registry_url))))


def account_named(view: Accounts, account: str) -> AccountConfig:
    """The account of this id. Raises Failed."""
    if account not in view.accounts:
        known = sorted(view.accounts)
        named = ", ".join(known[:MOST_NAMED]) + (f" and {len(known) - MOST_NAMED} more" if known[MOST_NAMED:] else "")
        remedy = f"Known are {named}." if known else "`trackly apply FILE` makes accounts."
        raise Failed(f"There is no account {account!r}. {remedy}")
    return view.accounts[account]


@asynccontextmanager
async def follow_accounts(settings: BusSettings, codec: Codec) -> AsyncIterator[AccountsReader]:
    """The settings of all accounts, kept up to date for as long as the block lasts."""
    async with following(settings, AccountsReader(settings, codec), CONFIG_TOPICS) as reader:
        yield reader


@asynccontextmanager
async def following(settings: BusSettings, reader: R, topics: Iterable[str]) -> AsyncIterator[R]:
    """A reader of these topics (catalogue short names) at work. Raises TopicsMissing."""
    names = [settings.catalogue[topic].name for topic in topics]
    with Admin(settings) as admin:
        check_topics(names, admin.describe(names))
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def read_back(is_stored: Callable[[], bool], look: str) -> None:
    """Wait until what was written is read. Raises Failed, naming the command that shows what is."""
    deadline = time.monotonic() + READ_BACK
    while not is_stored():
        if time.monotonic() > deadline:
            raise Failed(
                f"Written, but not read back within {READ_BACK:g} s. Somebody else may have changed the same"
                f" settings. {look} shows what is."
            )
        await asyncio.sleep(0.05)


async def _offsets(
    consumer: Any, assigned: dict[int, Any], start: Start, begins: dict[int, int], ends: dict[int, int]
) -> dict[int, int]:
    if start.millis is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(assigned.values(), start.millis))
        return {p: ends[p] if found[tp] is None else found[tp].offset for p, tp in assigned.items()}
    if start.offsets is not None:
        others = ends if start.at_end else begins
        return {p: min(max(start.offsets.get(p, others[p]), begins[p]), ends[p]) for p in assigned}
    if start.offset is not None:
        return {p: min(max(start.offset, begins[p]), ends[p]) for p in assigned}
    return {p: (ends if start.at_end else begins)[p] for p in assigned}
