"""Topics, offsets, and lag through kafka-python's admin client.

These calls block: from a coroutine, run them in a thread.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError, for_code
from kafka.net.compat import KafkaNetClient

from bus.layout import Identity
from bus.settings import BusSettings
from bus.tokens import TokenUnavailable
from bus.up_files import DEFAULT_SERVERS
from schemas.topics import Catalogue, Topic

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds after which the broker counts as unavailable."""

READY_TIMEOUT = 120.0
"""Seconds that brokers get to create the files of topics they have agreed to create."""

SAYS_AFTER, SAYS_IF_SILENT_AFTER = 1.5, 3.0
"""Seconds without a connection, and without an answer once there is one, after which the wait is mentioned."""

_said = threading.Event()
"""Whether it was mentioned: once is enough."""

_PAUSE = 0.1
"""Seconds between attempts of a call that the broker cannot answer yet."""

Partition = tuple[str, int]
"""Topic name and partition number."""


class AdminError(Exception):
    """Base class of this module's errors: BrokerUnavailable, TopicRefused, UnknownTopic."""


class BrokerUnavailable(AdminError):
    """No broker answered in time. The message names the servers and the remedy."""


class TopicRefused(AdminError):
    """The broker refused to create a topic. The message names the topic and the broker's reason."""


class UnknownTopic(AdminError):
    """The broker has no such topic."""


@dataclass(frozen=True, slots=True)
class TopicChange:
    """What `apply` did to a topic, or `compare` found. `detail` is for people."""

    topic: str
    action: Literal["created", "unchanged", "differs", "missing"]
    detail: str


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic on the broker. `settings` holds all of its settings, defaults included, by Kafka's names."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]

    @property
    def closed_after_ms(self) -> int:
        """Age of a segment at which the next record closes it; only then may it be deleted or compacted."""
        lag = [int(self.settings["max.compaction.lag.ms"])] if "compact" in self.settings["cleanup.policy"] else []
        return min([int(self.settings["segment.ms"]), *lag])


@dataclass(frozen=True, slots=True)
class TopicLog:
    """The extent of a topic. `id` is Kafka's own: a topic that is deleted and recreated has a new one.

    By partition: `begins` is the first offset still kept, `ends` the offset of the next record.
    """

    id: str
    begins: Mapping[int, int]
    ends: Mapping[int, int]


class Admin:
    """A connection to the broker, open for the duration of the `with` block.

    Every method raises BrokerUnavailable if no answer comes within `timeout` seconds.
    """

    def __init__(self, settings: BusSettings, timeout: float = TIMEOUT) -> None:
        self._settings = settings
        self._timeout = timeout
        self._client: Any = None

    def __enter__(self) -> Admin:
        self._client = connect(self._settings.kafka_python(), self._timeout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def apply(self, catalogue: Catalogue) -> list[TopicChange]:
        """Create missing topics and compare existing ones. Nothing is altered or deleted.

        Returns one entry per topic, in catalogue order. Raises TopicRefused if the broker refuses to create one; others
        may exist by then, and a second call continues from there.
        """
        existing = self.describe(topic.name for topic in catalogue.values())
        missing = [topic for topic in catalogue.values() if topic.name not in existing]
        if missing:
            existing |= self.describe(self._create(missing))
        return [self._compare(topic, existing.get(topic.name)) for topic in catalogue.values()]

    def compare(self, catalogue: Catalogue) -> list[TopicChange]:
        """Return missing and differing topics, in catalogue order. Changes nothing."""
        existing = self.describe(topic.name for topic in catalogue.values())
        compared = [
            self._compare(topic, existing[topic.name])
            if topic.name in existing
            else TopicChange(topic.name, "missing", "")
            for topic in catalogue.values()
        ]
        return [change for change in compared if change.action != "unchanged"]

    def brokers(self) -> dict[int, tuple[int, ...]]:
        """Return each broker's version by broker id, as far as its supported APIs reveal it."""
        found = self._call(self._client.describe_cluster)["brokers"]
        ids = [int(broker["broker_id"]) for broker in found]
        return {each: tuple(self._call(self._client.get_broker_version_data, each).broker_version) for each in ids}

    def out_of_sync(self, names: Iterable[str]) -> dict[str, int]:
        """Return, for each named topic that has any, the number of partitions with replicas out of sync."""
        found = self._call(self._client.describe_topics, list(names))
        behind = {
            topic["name"]: sum(len(p["isr_nodes"]) < len(p["replica_nodes"]) for p in topic["partitions"])
            for topic in found
            if topic["error_code"] == 0
        }
        return {name: count for name, count in behind.items() if count}

    def list_topics(self) -> list[str]:
        """Return the names of all topics except Kafka's internal ones, sorted."""
        return sorted(t["name"] for t in self._call(self._client.describe_topics) if not t["is_internal"])

    def describe(self, names: Iterable[str]) -> dict[str, TopicDescription]:
        """Return those of the named topics that exist, by name."""
        found = self._call(self._client.describe_topics, list(names))
        found = [topic for topic in found if topic["error_code"] == 0]
        if not found:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic["name"]) for topic in found]
        configs = self._call(self._client.describe_configs, resources, config_filter="all")["topic"]
        return {
            topic["name"]: TopicDescription(
                name=topic["name"],
                partitions=len(topic["partitions"]),
                replication=min(len(partition["replica_nodes"]) for partition in topic["partitions"]),
                settings={key: str(entry["value"]) for key, entry in configs[topic["name"]].items()},
            )
            for topic in found
        }

    def begin_offsets(self, topic: str) -> dict[int, int]:
        """Return the first offset still kept, by partition. Raises UnknownTopic."""
        return self._offsets_of(topic, OffsetSpec.EARLIEST)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the offset of the next record, by partition. Raises UnknownTopic."""
        return self._offsets_of(topic, OffsetSpec.LATEST)

    def newest(self, names: Iterable[str]) -> dict[Partition, int]:
        """Return the time (ms) of the newest record of each nonempty partition of the named topics."""
        wanted = {TopicPartition(*partition): OffsetSpec.MAX_TIMESTAMP for partition in self._partitions(names)}
        found = self._call(self._client.list_partition_offsets, wanted) if wanted else {}
        return {(tp.topic, tp.partition): at.timestamp for tp, at in found.items() if at.timestamp >= 0}

    def offsets_since(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """Return the first offset whose record is not older than a time (ms), by partition; None: all are older."""
        wanted = {TopicPartition(*partition): at for partition, at in times.items()}
        found = self._call(self._client.list_partition_offsets, wanted) if wanted else {}
        return {(tp.topic, tp.partition): at.offset if at.offset >= 0 else None for tp, at in found.items()}

    def sizes(self, names: Iterable[str]) -> dict[Partition, int]:
        """Return the bytes on disk of each partition of the named topics: of its largest replica."""
        wanted = frozenset(names)
        found: dict[Partition, int] = {}
        for broker in self._call(self._client.describe_log_dirs):
            for directory in broker["log_dirs"]:
                for topic in directory["topics"]:
                    for partition in topic["partitions"] if topic["name"] in wanted else ():
                        place = topic["name"], int(partition["partition_index"])
                        found[place] = max(found.get(place, 0), int(partition["partition_size"]))
        return found

    def logs(self, names: Iterable[str], known: Mapping[str, TopicLog] | None = None) -> dict[str, TopicLog]:
        """Return the logs of those of the named topics that exist, by name. If a topic is still the one in a `known`
        log, that log's beginning is used, although the topic may begin later by now.
        """
        found = [t for t in self._call(self._client.describe_topics, list(names)) if t["error_code"] == 0]
        ids = {t["name"]: str(t["topic_id"]) for t in found}
        partitions = [(t["name"], p["partition_index"]) for t in found for p in t["partitions"]]
        begins = {
            (name, partition): begin
            for name, log in (known or {}).items()
            if log.id == ids.get(name)
            for partition, begin in log.begins.items()
        }
        begins |= self._offsets([partition for partition in partitions if partition not in begins], OffsetSpec.EARLIEST)
        ends = self._offsets(partitions, OffsetSpec.LATEST)
        return {name: TopicLog(id_, _of_topic(begins, name), _of_topic(ends, name)) for name, id_ in ids.items()}

    def identities(self, names: Iterable[str]) -> dict[str, Identity]:
        """Return the identities of those of the named topics that exist, by name."""
        wanted = list(names)
        found = self._call(self._client.describe_topics, wanted) if wanted else []
        return {t["name"]: Identity(str(t["topic_id"]), len(t["partitions"])) for t in found if t["error_code"] == 0}

    def has_members(self, group: str) -> bool:
        """Whether a consumer group has members."""
        return bool(self._call(self._client.describe_groups, [group])[group]["members"])

    def group_identities(self, group: str) -> dict[str, Identity]:
        """Return the topic identities that the group noted with its last committed offsets, by name."""
        committed = self._call(self._client.list_group_offsets, group)[group]
        noted = {tp.topic: Identity.parsed(at.metadata or "") for tp, at in committed.items() if at.offset >= 0}
        return {topic: identity for topic, identity in noted.items() if identity is not None}

    def adopt_offsets(self, group: str) -> int:
        """Mark a group's committed offsets as offsets of this cluster's topics; returns the number of partitions.

        For offsets translated by a mirror, whose notes describe the other cluster's topics. Afterwards no offset lies
        beyond the end of its partition. The group must have no members. Raises AdminError.
        """
        committed = self._call(self._client.list_group_offsets, group)[group]
        there = {tp: at for tp, at in committed.items() if at.offset >= 0}
        identities = self.identities({tp.topic for tp in there})
        others = {
            tp: at
            for tp, at in there.items()
            if tp.topic in identities and at.metadata != str(identities[tp.topic]) and at.metadata
        }
        ends = self._offsets([(tp.topic, tp.partition) for tp in others], OffsetSpec.LATEST)
        adopted = {
            tp: OffsetAndMetadata(min(at.offset, ends[tp.topic, tp.partition]), str(identities[tp.topic]), -1)
            for tp, at in others.items()
        }
        if adopted:
            self._call(self._client.alter_group_offsets, group, adopted)
        return len(adopted)

    def group_offsets(self, group: str) -> dict[Partition, int]:
        """Return the offset that the group reads next, for each committed partition. Empty for an unknown group."""
        committed = self._call(self._client.list_group_offsets, group)[group]
        return {(tp.topic, tp.partition): at.offset for tp, at in committed.items() if at.offset >= 0}

    def note(self, group: str, topic: str) -> str | None:
        """Return what `write_note` has noted, or None. Raises AdminError."""
        at = self._call(self._client.list_group_offsets, group)[group].get(TopicPartition(topic, 0))
        return None if at is None or at.offset < 0 else str(at.metadata)

    def write_note(self, group: str, topic: str, text: str) -> None:
        """Keep a short text about a topic on Kafka, beside an offset of a group without members. Raises AdminError."""
        self._call(self._client.alter_group_offsets, group, {TopicPartition(topic, 0): OffsetAndMetadata(0, text, -1)})

    def lag(self, group: str) -> dict[Partition, int]:
        """Return the number of records the group has yet to read, for each committed partition that still exists."""
        committed = self.group_offsets(group)
        alive = set(self._partitions({topic for topic, _ in committed}))
        ends = self._offsets([partition for partition in committed if partition in alive], OffsetSpec.LATEST)
        return {partition: max(0, end - committed[partition]) for partition, end in ends.items()}

    def _create(self, topics: list[Topic]) -> list[str]:
        """Create topics, wait until they are usable, and return the names of those that turned out to exist."""
        answer = self._call(
            self._client.create_topics,
            {
                topic.name: {
                    "num_partitions": topic.partitions,
                    "replication_factor": self._settings.replication,
                    "configs": self._wanted(topic),
                }
                for topic in topics
            },
            raise_errors=False,
        )
        found = []
        for topic in answer["topics"]:
            if topic["error_code"] == TopicAlreadyExistsError.errno:
                found.append(topic["name"])
            elif topic["error_code"] != 0:
                kind = for_code(topic["error_code"]).__name__
                reason = (topic["error_message"] or "no reason given").rstrip(".")
                raise TopicRefused(
                    f"{topic['name']} was not created: {reason} ({kind}). TRACKLY_REPLICATION is"
                    f" {self._settings.replication}, TRACKLY_PARTITIONS is {self._settings.partitions}."
                )
        # The topics exist, but each broker creates their files in its own time: seconds on a slow disk.
        self._call(self._client.wait_for_topics, [topic.name for topic in topics], int(READY_TIMEOUT * 1000))
        return found

    def _compare(self, topic: Topic, found: TopicDescription | None) -> TopicChange:
        wanted = {
            "partitions": str(topic.partitions),
            "replication": str(self._settings.replication),
            **self._wanted(topic),
        }
        if found is None:
            settings = ", ".join(f"{key} {value}" for key, value in wanted.items())
            return TopicChange(topic.name, "created", settings)
        there = {"partitions": str(found.partitions), "replication": str(found.replication), **found.settings}
        differences = [
            f"{key} is {there.get(key)}, not {value}"
            for key, value in wanted.items()
            if _unordered(there.get(key, "")) != _unordered(value)
        ]
        return TopicChange(topic.name, "differs" if differences else "unchanged", "; ".join(differences))

    def _wanted(self, topic: Topic) -> dict[str, str]:
        # acks=all guarantees only min.insync.replicas copies: with Kafka's default of 1, losing one broker can lose an
        # acknowledged record, whatever the replication.
        return {"min.insync.replicas": str(max(1, self._settings.replication - 1)), **topic.settings}

    def _partitions(self, topics: Iterable[str]) -> list[Partition]:
        names = list(topics)
        described = self._call(self._client.describe_topics, names) if names else []
        return [
            (topic["name"], partition["partition_index"])
            for topic in described
            if topic["error_code"] == 0
            for partition in topic["partitions"]
        ]

    def _offsets_of(self, topic: str, spec: OffsetSpec) -> dict[int, int]:
        partitions = self._partitions([topic])
        if not partitions:
            raise UnknownTopic(f"there is no topic {topic!r} at {self._settings.bootstrap_servers}")
        return {partition: offset for (_, partition), offset in self._offsets(partitions, spec).items()}

    def _offsets(self, partitions: list[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        if not partitions:
            return {}
        specs = {TopicPartition(*partition): spec for partition in partitions}
        found = self._call(self._client.list_partition_offsets, specs)
        return {(tp.topic, tp.partition): found[tp].offset for tp in specs}

    def _call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return method(*arguments, **options)
            except KafkaError as error:
                if not error.retriable:
                    raise AdminError(f"{self._settings.bootstrap_servers} answered: {error}") from error
                # A fresh broker has no coordinator at first; after a restart, no node is known.
                if time.monotonic() >= deadline:
                    raise _unavailable(self._settings.bootstrap_servers, self._timeout, error) from error
                time.sleep(_PAUSE)


def connect(arguments: Mapping[str, Any], timeout: float = TIMEOUT) -> Any:
    """Return a KafkaAdminClient that has reached a broker. `arguments` are those of `BusSettings.kafka_python`.

    Raises BrokerUnavailable after `timeout` seconds, with the reason of the last failed connection. A wait that lasts
    is mentioned in the log.
    """
    servers = list(arguments["bootstrap_servers"])
    deadline = time.monotonic() + timeout
    with _mentioned(servers, timeout, SAYS_AFTER):
        # kafka-python does not close the sockets of refused connections.
        while (refusal := _refusal(servers)) is not None:
            if time.monotonic() >= deadline:
                raise _unavailable(",".join(servers), timeout, refusal)
            time.sleep(_PAUSE)
    network: list[Any] = []

    def kept(**config: Any) -> Any:
        network.append(KafkaNetClient(**config))
        return network[0]

    with _LastError() as last, _mentioned(servers, timeout, SAYS_IF_SILENT_AFTER):
        try:
            return KafkaAdminClient(
                **arguments,
                client_id="trackly-admin",
                bootstrap_timeout_ms=max(500, int((deadline - time.monotonic()) * 1000)),
                request_timeout_ms=int(timeout * 1000),
                reconnect_backoff_max_ms=1_000,
                kafka_client=kept,
            )
        except KafkaTimeoutError as error:
            # A constructor that fails leaves its I/O thread and its sockets behind.
            network[0]._manager._net.stop()
            network[0].close()
            raise _unavailable(",".join(servers), timeout, last.error or error) from error


@contextmanager
def _mentioned(servers: Iterable[str], timeout: float, after: float) -> Iterator[None]:
    """Mention the wait in the log if the block takes longer than `after` seconds."""

    def mention() -> None:
        if not _said.is_set():
            _said.set()
            log.warning("waiting up to %g s for a Kafka broker at %s", timeout, ",".join(servers))

    if after >= timeout:
        yield
        return
    timer = threading.Timer(after, mention)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _refusal(servers: Iterable[str]) -> OSError | None:
    """Return None if one of the servers accepts a connection, or else why the last one does not."""
    refusal = OSError("no server is configured")
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
        except OSError as error:
            refusal = error
        else:
            return None
    return refusal


class _LastError(logging.Handler):
    """Keeps the last exception that kafka-python logs while connecting, because it raises only a timeout."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.error: Exception | None = None

    def __enter__(self) -> _LastError:
        log = logging.getLogger("kafka")
        if log.level == logging.NOTSET:
            # Each refused connection is logged four times at ERROR; what matters is raised.
            log.propagate = False
        log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("kafka").removeHandler(self)
        if not logging.getLogger("kafka").handlers:
            logging.getLogger("kafka").addHandler(logging.NullHandler())

    def emit(self, record: logging.LogRecord) -> None:
        for argument in record.args or ():
            if isinstance(argument, KafkaError | TokenUnavailable) and not isinstance(argument, KafkaTimeoutError):
                self.error = argument


def _unavailable(servers: str, timeout: float, error: Exception) -> BrokerUnavailable:
    # Nothing is set, and the data directory names no broker: often another directory is the right one.
    elsewhere = (
        " If `trackly up` runs, set TRACKLY_DATA_DIR to its data directory." if servers == DEFAULT_SERVERS else ""
    )
    return BrokerUnavailable(
        f"no Kafka broker could be used at {servers} within {timeout:g} s: {error}.{elsewhere} Start one with"
        " `trackly up`, or set KAFKA_BOOTSTRAP_SERVERS, and KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_*,"
        " KAFKA_SSL_* as it asks for them."
    )


def _of_topic(offsets: Mapping[Partition, int], name: str) -> dict[int, int]:
    return {partition: offset for (topic, partition), offset in offsets.items() if topic == name}


def _unordered(value: str) -> frozenset[str]:
    return frozenset(value.split(","))
