"""The content of a backup: records of the topics that must survive, and the keys, one JSON object per line."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

import orjson

from bus.admin import Admin
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from bus.version import version
from schemas.codec import Codec
from schemas.registry import registry_for
from schemas.topics import Catalogue
from trackly.commands.topics.growing import places
from trackly.errors import Failed, check_topics
from trackly.progress import Progress
from trackly.reading import open_topic
from trackly.writing import Unacknowledged, producing

TOPICS = (
    "config_accounts", "config_lists", "config_endpoints", "config_keys", "losses", "places", "fingerprints",
    "contacts", "table_contacts", "table_brakes",
)  # fmt: skip
"""Topics (catalogue short names) in a backup, in the order they are restored: who may be texted is known before
anything is processed."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line: when (ms) and by which version it was made, the topics' partition counts, and the keys."""

    made_at: int
    version: str
    partitions: int
    registry: bool
    secret_keys: tuple[str, ...]
    evidence_key: str | None
    pseudonym_key: str | None

    @classmethod
    def of(cls, settings: BusSettings, made_at: int) -> Head:
        """Return the head for the current deployment."""
        return cls(
            made_at,
            version(),
            settings.partitions,
            settings.schema_registry_url is not None,
            tuple(key.get_secret_value() for key in settings.secret_keys),
            None if settings.evidence_key is None else settings.evidence_key.get_secret_value(),
            None if settings.pseudonym_key is None else settings.pseudonym_key.get_secret_value(),
        )

    @classmethod
    def parsed(cls, line: bytes) -> Head:
        """Parse its line."""
        fields = orjson.loads(line)
        return cls(**{**fields, "secret_keys": tuple(fields["secret_keys"])})

    def environment(self) -> str:
        """Return the keys as lines of an environment file."""
        found = {
            "TRACKLY_SECRET_KEYS": ",".join(self.secret_keys),
            "TRACKLY_EVIDENCE_KEY": self.evidence_key or "",
            "TRACKLY_PSEUDONYM_KEY": self.pseudonym_key or "",
        }
        return "".join(f"{name}={value}\n" for name, value in found.items() if value)


async def lines(settings: BusSettings, head: Head, written: Counter[str]) -> AsyncIterator[bytes]:
    """Yield every line, and count records by topic. Raises Failed, BrokerUnavailable."""
    yield orjson.dumps(head)
    with Admin(settings) as admin:
        names = [settings.catalogue[key].name for key in TOPICS]
        check_topics(names, admin.identities(names))
    for key in TOPICS:
        name = settings.catalogue[key].name
        async with open_topic(settings, name, BEGINNING) as topic:
            progress = Progress(name, topic.size)
            async for record in topic.rest():
                written[key] += 1
                progress.add(1)
                yield orjson.dumps(
                    {
                        "topic": key,
                        "partition": record.partition,
                        "at": record.timestamp,
                        "key": _text(record.key),
                        "value": _text(record.value),
                        "headers": [(header, _text(value)) for header, value in record.headers],
                    }
                )
            progress.end()


async def put_back(settings: BusSettings, head: Head, found: Iterable[bytes]) -> Counter[str]:
    """Write records back, in their current partitions, and count them. Raises Failed, KafkaError."""
    codec = Codec(registry_for(settings.schema_registry_url))
    old = Catalogue(settings.topic_prefix, head.partitions, settings.retry_schedule)
    placed = {key: places(old[key], settings.catalogue[key], codec) for key in TOPICS}
    written: Counter[str] = Counter()
    sent = Unacknowledged()
    async with producing(settings, linger_ms=20) as producer:
        for record in map(_Record.parsed, found):
            for partition in placed[record.topic](record):
                await sent.add(
                    await producer.send(
                        settings.catalogue[record.topic].name,
                        record.value,
                        key=record.key,
                        partition=partition,
                        headers=record.headers,
                    )
                )
            written[record.topic] += 1
        await sent.wait()
    return written


def check_target(settings: BusSettings, head: Head) -> None:
    """Check that a backup can be restored here. Raises Failed with the remedy."""
    with Admin(settings) as admin:
        names = [settings.catalogue[key].name for key in TOPICS]
        check_topics(names, admin.identities(names))
        used = [name for name in names if any(admin.end_offsets(name).values())]
        running = [service for service in ("streams", "sinks") if admin.has_members(settings.group(service))]
    if used:
        raise Failed(f"{used[0]} already has records: a backup can only be restored into new topics.")
    if running:
        raise Failed(f"{' and '.join(running)} must not run during a restore: stop its processes first.")
    if head.registry != (settings.schema_registry_url is not None):
        there = "one" if head.registry else "none"
        raise Failed(f"The backup was made with {there} at SCHEMA_REGISTRY_URL: its records need the same registry.")
    known = {key.get_secret_value() for key in settings.secret_keys}
    if missing := [key for key in head.secret_keys if key not in known]:
        raise Failed(
            f"{len(missing)} keys of the backup are not in TRACKLY_SECRET_KEYS, so secrets could not be read: write"
            " them to a file with --keys-to, set them for every service and for this command, then restore again."
        )
    pseudonym = None if settings.pseudonym_key is None else settings.pseudonym_key.get_secret_value()
    if head.pseudonym_key is not None and pseudonym != head.pseudonym_key:
        raise Failed("TRACKLY_PSEUDONYM_KEY differs from the backup's: erased numbers would not be recognized.")


@dataclass(frozen=True, slots=True)
class _Record:
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @classmethod
    def parsed(cls, line: bytes) -> _Record:
        fields = orjson.loads(line)
        headers = [(name, _bytes(value) or b"") for name, value in fields["headers"]]
        return cls(fields["topic"], fields["partition"], _bytes(fields["key"]), _bytes(fields["value"]), headers)


def gathered(found: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Yield lines one by one, outside of an event loop."""
    with asyncio.Runner() as runner:
        while (line := runner.run(anext(found, None))) is not None:
            yield line


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
