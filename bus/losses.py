"""Records that retention deleted before they were read: entries of the audit log, which people see for a year, and of
`trackly.losses`, which is kept until somebody has made up for them.

A service's log and metrics tell of it only as long as they are kept, and whoever acted on the lost records (a person
who texted STOP, a customer who waits for a webhook) is told nothing at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from bus.clock import now_ms
from bus.insisting import insist
from bus.producer import KafkaError, Producer
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import derived_id
from schemas.records import OF_ANYONE, OF_NOBODY, OF_PARTITION, AuditEntry, RecordsLost

log = logging.getLogger(__name__)

ACTION = "records.lost"

EVERY_ACCOUNT = "*"
"""The account of entries about the whole installation."""

OPT_OUTS: Mapping[str, str] = {
    # Callbacks have no key.
    "raw": OF_ANYONE,
    # Some are about a list, or tell the partition of a channel's id which number is the same person's.
    "commands": OF_ANYONE,
    "receipts": OF_PARTITION,
    "inbound": OF_PARTITION,
    # The registration of a message decides from which lists a reply to it opts out.
    "messages": OF_PARTITION,
}
"""Topics (catalogue short names) from which streams learns who must not be texted."""


@dataclass(frozen=True, slots=True)
class Loss:
    """`count` records of a partition, from `first` on, that `reader` (a consumer group) has not read.

    Those before the group's first commit may have been read all the same (`uncertain`): Kafka cannot tell.
    """

    reader: str
    topic: str
    partition: int
    first: int
    count: int
    uncertain: bool = False


def id_of(loss: Loss) -> str:
    """Return the ID of a loss."""
    return derived_id(loss.reader, loss.topic, loss.partition, loss.first, loss.count, "lost")


def opt_outs_in(topic: str, reader: str, settings: BusSettings) -> str:
    """Return whose opt-outs may be on a topic (name on Kafka) that a consumer group has not read."""
    known = settings.catalogue.named(topic)
    return OPT_OUTS.get(known.id, OF_NOBODY) if known is not None and reader == settings.group("streams") else OF_NOBODY


def record_of(loss: Loss, partitions: int, opt_outs: str, at: int) -> RecordsLost:
    """Return the record of a loss on a topic with this many partitions, noticed at a time in ms."""
    return RecordsLost(event_id=id_of(loss), partitions=partitions, opt_outs=opt_outs, noticed_at=at, **asdict(loss))


def entry_of(loss: Loss, at: int) -> AuditEntry:
    """Return the entry of a loss, noticed at a time in ms. The same loss, noticed again, has the same ID."""
    details = {name: value for name, value in asdict(loss).items() if name not in ("topic", "reader")}
    return AuditEntry(
        event_id=id_of(loss),
        account=EVERY_ACCOUNT,
        actor=loss.reader,
        action=ACTION,
        object=loss.topic,
        details=orjson.dumps(details).decode(),
        remote_ip="",
        request_id="",
        outcome="failed",
        at=at,
    )


def loss_of(entry: AuditEntry) -> Loss | None:
    """Return the loss that an entry tells of, or None."""
    if entry.action != ACTION:
        return None
    try:
        return Loss(entry.actor, entry.object, **orjson.loads(entry.details))
    except (TypeError, ValueError):
        return None


class Losses:
    """Tells of a reader's losses, and counts the lost records."""

    def __init__(self, settings: BusSettings, service: str, producer: Producer, codec: Codec) -> None:
        self.count = 0
        self._settings = settings
        self._reader = settings.group(service)
        self._producer = producer
        self._codec = codec
        self._writing: set[asyncio.Task[None]] = set()

    def tell(self, topic: str, partition: int, expected: int | None, first: int) -> asyncio.Task[None]:
        """Tell that a partition begins at `first`, although `expected` was to be read next (None: the group has
        committed nothing). Call it from the event loop.

        The task ends once Kafka has the loss. Streams must not commit past it before: as long as neither the gap nor
        the loss can be seen, contacts whose opt-outs are lost might be texted.
        """
        loss = Loss(self._reader, topic, partition, expected or 0, first - (expected or 0), uncertain=expected is None)
        self.count += loss.count
        log.error(
            "%s[%d]: retention deleted %d records from offset %d on before %s read them%s; `trackly doctor` says what"
            " to do", topic, partition, loss.count, loss.first, loss.reader,
            ", unless it has read them and Kafka has forgotten so" if loss.uncertain else "",
        )  # fmt: skip
        at = now_ms()
        self._start(self._write_entry(entry_of(loss, at)))
        return self._start(self._write_loss(loss, at))

    def _start(self, writing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def _write_loss(self, loss: Loss, at: int) -> None:
        opt_outs = opt_outs_in(loss.topic, loss.reader, self._settings)

        async def write() -> None:
            partitions = await self._producer.partitions(loss.topic)
            await self._send("losses", record_of(loss, partitions, opt_outs, at), id_of(loss), at)

        if opt_outs != OF_NOBODY:
            await insist("what retention deleted cannot be recorded", write)
            return
        try:
            await write()
        except KafkaError as error:
            log.warning("no record tells of what was lost: %s", type(error).__name__)

    async def _write_entry(self, entry: AuditEntry) -> None:
        try:
            await self._send("audit", entry, EVERY_ACCOUNT, entry.at)
        except KafkaError as error:
            log.warning("the audit log does not tell of what was lost: %s", type(error).__name__)

    async def _send(self, topic: str, record: AuditEntry | RecordsLost, key: str, at: int) -> None:
        headers, value = event_headers(record, record.event_id, at), self._codec.encode(record)
        name = self._settings.catalogue[topic].name
        await (await self._producer.send(name, value, key=key.encode(), headers=headers))
