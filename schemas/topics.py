"""The topic catalogue: `topics.toml` as typed values. Code names topics by short name: `catalogue["raw"]`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

_DURATION = re.compile(r"([0-9]{1,30})\s*(ms|s|m|h|d)")
_MILLIS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

MAX_DURATION_MS = 36_500 * _MILLIS["d"]
"""A longer duration does not fit in a record's time field."""

DEFAULT_SCHEDULE = ("1m", "5m", "15m", "1h", "2h")
"""Delays between attempts of a webhook, unless TRACKLY_RETRY_SCHEDULE is set."""

MAX_COMPACTION_LAG_MS = 7 * 86_400_000
"""Within this time, Kafka compacts a partition that receives records, removing superseded ones; by default it may keep
them forever. A partition without new records is unaffected."""

DEFAULT_MAX_MESSAGE_BYTES = 1_048_576
"""Largest record of a topic without its own limit."""


def parse_duration(text: str) -> int:
    """Parse `250ms`, `30s`, `5m`, `2h`, or `7d` into milliseconds. Raises ValueError with the text."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a valid duration: write a number and ms, s, m, h, or d, such as 15m")
    millis = int(match[1]) * _MILLIS[match[2]]
    if millis > MAX_DURATION_MS:
        raise ValueError(f"{text!r} is longer than 100 years")
    return millis


PUBLIC_COMPRESSION = "gzip"
"""The broker recompresses public topics with this codec, because every Kafka client reads it without extra packages:
kafkajs has no other one, and kafka-python and aiokafka need packages for others."""

FIXED = ("cleanup.policy", "message.timestamp.type", "max.message.bytes")
"""Topic settings that the code relies on; no deployment may change them."""

TopicSettings = Mapping[str, Mapping[str, str]]
"""Kafka settings by name, for topics by name without the prefix; `*` is all topics."""


def parse_topic_settings(text: str) -> dict[str, dict[str, str]]:
    """Parse `sms.raw:retention.ms=1209600000, *:segment.bytes=104857600` by topic and setting. Raises ValueError.

    Settings that affect space or time may be changed, but not those that could lose or duplicate records.
    """
    found: dict[str, dict[str, str]] = {}
    known = {topic.name: topic for topic in default_catalogue().values() if topic.delay_ms is None}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([^:=\s]+):([a-z0-9.]+)=([^\s=]+)", part)
        if match is None:
            raise ValueError(f"{part!r} is not TOPIC:SETTING=VALUE")
        topic, name, value = match.groups()
        if topic != "*" and topic not in known:
            raise ValueError(f"{topic!r} is not a known topic: `trackly topics list` has them")
        if name in FIXED:
            raise ValueError(f"{name} must not be changed: the code relies on it")
        if name == "retention.ms" and (
            topic == "*" or known[topic].compacted or known[topic].id.startswith("webhooks_")
        ):
            raise ValueError(f"retention.ms of {topic} must not be changed: the code relies on it")
        if name == "retention.ms" and not re.fullmatch(r"-1|[1-9][0-9]{0,15}", value):
            raise ValueError(f"retention.ms={value} must be a number of milliseconds, or -1 for no limit")
        found.setdefault(topic, {})[name] = value
    return found


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as created on Kafka.

    `retention_ms` is None for topics kept forever; `record` is None if no schema is in use yet; `append_time`: its
    records have the broker's time, whatever the writer's clock says; `shares_partitions`: its count is
    TRACKLY_PARTITIONS; `mirrors` is the id of the topic that it repeats without numbers; `delay_ms` is set for delay
    tiers; `own_settings` are this deployment's choices.
    """

    id: str
    name: str
    record: str | None
    key: str
    partitions: int
    shares_partitions: bool
    retention_ms: int | None
    compacted: bool
    append_time: bool
    max_message_bytes: int
    public: bool
    mirrors: str | None
    delay_ms: int | None
    purpose: str
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    own_settings: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> str:
        """The subject of its values in a schema registry (TopicNameStrategy)."""
        return f"{self.name}-value"

    @property
    def settings(self) -> dict[str, str]:
        """Topic settings by Kafka's names."""
        policies = ["compact"] if self.compacted else []
        if self.retention_ms is not None:
            policies.append("delete")
        return {
            **({"max.compaction.lag.ms": str(MAX_COMPACTION_LAG_MS)} if self.compacted else {}),
            "cleanup.policy": ",".join(policies),
            "retention.ms": str(-1 if self.retention_ms is None else self.retention_ms),
            "retention.bytes": "-1",
            "max.message.bytes": str(self.max_message_bytes),
            **({"compression.type": PUBLIC_COMPRESSION} if self.public else {}),
            **({"message.timestamp.type": "LogAppendTime"} if self.append_time else {}),
            **dict(self.own_settings),
        }


class Catalogue(Mapping[str, Topic]):
    """All topics by short name, with this deployment's prefix, partition count, and retry schedule.

    Each delay of the schedule has its own delay topic, `webhooks_retry.15m`. `own` are topic settings chosen by the
    deployment (`parse_topic_settings`).
    """

    def __init__(
        self,
        prefix: str = "",
        partitions: int = 12,
        schedule: Sequence[str] = DEFAULT_SCHEDULE,
        own: TopicSettings | None = None,
    ) -> None:
        self.prefix = prefix
        self._topics: dict[str, Topic] = {}
        for key, entry in _entries().items():
            if "{delay}" not in entry["name"]:
                self._topics[key] = _topic(key, entry, prefix, partitions)
                continue
            for delay in dict.fromkeys(schedule):
                self._topics[f"{key}.{delay}"] = _topic(f"{key}.{delay}", entry, prefix, partitions, delay)
        if own:
            self._topics = {key: _decided(topic, prefix, own) for key, topic in self._topics.items()}
        self._by_name = {topic.name: topic for topic in self._topics.values()}

    def __getitem__(self, key: str) -> Topic:
        return self._topics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)

    def __len__(self) -> int:
        return len(self._topics)

    def named(self, name: str) -> Topic | None:
        """Return the topic with this name on Kafka, with or without the prefix, or None."""
        return self._by_name.get(name) or self._by_name.get(self.prefix + name)

    def compatibility(self, record: str) -> str:
        """Return how a record may change, in registries' terms: FULL_TRANSITIVE if a public topic has it."""
        public = any(topic.public for topic in self.values() if topic.record == record)
        return "FULL_TRANSITIVE" if public else "BACKWARD_TRANSITIVE"

    @property
    def delay_tiers(self) -> list[Topic]:
        """The delay topics of the schedule, shortest delay first."""
        tiers = [t for t in self.values() if t.delay_ms is not None]
        return sorted(tiers, key=lambda t: t.delay_ms or 0)

    def delay_tier_named(self, name: str) -> Topic | None:
        """Return the delay topic with this name on Kafka, even of an earlier schedule; None for other topics.

        This finds webhooks that were waiting when the schedule changed.
        """
        entry = _entries()["webhooks_retry"]
        before, after = (self.prefix + entry["name"]).split("{delay}")
        delay = name[len(before) : len(name) - len(after)]
        if not name.startswith(before) or not name.endswith(after) or not _DURATION.fullmatch(delay):
            return None
        return _topic(f"webhooks_retry.{delay}", entry, self.prefix, 0, delay)


@cache
def default_catalogue() -> Catalogue:
    """The catalog without any deployment settings."""
    return Catalogue()


@cache
def _entries() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("schemas").joinpath("topics.toml").read_text("utf-8"))


def _decided(topic: Topic, prefix: str, own: TopicSettings) -> Topic:
    settings = {**own.get("*", {}), **own.get(topic.name.removeprefix(prefix), {})}
    retention = int(settings.pop("retention.ms", -1 if topic.retention_ms is None else topic.retention_ms))
    return replace(topic, own_settings=tuple(settings.items()), retention_ms=None if retention < 0 else retention)


def _topic(key: str, entry: dict[str, Any], prefix: str, partitions: int, delay: str | None = None) -> Topic:
    retention = entry["retention"]
    return Topic(
        id=key,
        name=prefix + entry["name"].replace("{delay}", delay or ""),
        record=entry.get("record"),
        key=entry["key"],
        partitions=partitions if entry["partitions"] == "shared" else int(entry["partitions"]),
        shares_partitions=entry["partitions"] == "shared",
        retention_ms=None if retention == "forever" else parse_duration(retention),
        compacted=entry.get("compacted", False),
        append_time=entry.get("append_time", False),
        max_message_bytes=entry.get("max_message_bytes", DEFAULT_MAX_MESSAGE_BYTES),
        public=entry.get("public", False),
        mirrors=entry.get("mirrors"),
        delay_ms=parse_duration(delay) if delay else None,
        purpose=entry["purpose"].replace("{delay}", delay or ""),
        written_by=tuple(entry["written_by"]),
        read_by=tuple(entry["read_by"]),
    )
