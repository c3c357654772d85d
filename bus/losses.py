"""Records that retention deleted before they were read: entries of the audit log, which people see for a year.

A service's log and metrics tell of it only as long as they are kept, and whoever acted on the lost records (a person
who texted STOP, a customer who waits for a webhook) is told nothing at all.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass

import orjson

from bus.clock import now_ms
from bus.producer import KafkaError, Producer
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import derived_id
from schemas.records import AuditEntry
from schemas.topics import Catalogue

log = logging.getLogger(__name__)

ACTION = "records.lost"

EVERY_ACCOUNT = "*"
"""The account of entries about the whole installation."""


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


def entry_of(loss: Loss, at: int) -> AuditEntry:
    """Return the entry of a loss, noticed at a time in ms. The same loss, noticed again, has the same ID."""
    details = {name: value for name, value in asdict(loss).items() if name not in ("topic", "reader")}
    return AuditEntry(
        event_id=derived_id(loss.reader, loss.topic, loss.partition, loss.first, loss.count, "lost"),
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

    def __init__(self, reader: str, producer: Producer, catalogue: Catalogue, codec: Codec) -> None:
        self.count = 0
        self._reader = reader
        self._producer = producer
        self._topic = catalogue["audit"].name
        self._codec = codec
        self._writing: set[asyncio.Task[None]] = set()

    def tell(self, topic: str, partition: int, expected: int | None, first: int) -> None:
        """Tell that a partition begins at `first`, although `expected` was to be read next (None: the group has
        committed nothing). Call it from the event loop."""
        loss = Loss(self._reader, topic, partition, expected or 0, first - (expected or 0), uncertain=expected is None)
        self.count += loss.count
        log.error(
            "%s[%d]: retention deleted %d records from offset %d on before %s read them%s; `trackly doctor` says what"
            " to do", topic, partition, loss.count, loss.first, loss.reader,
            ", unless it has read them and Kafka has forgotten so" if loss.uncertain else "",
        )  # fmt: skip
        task = asyncio.get_running_loop().create_task(self._write(loss))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, loss: Loss) -> None:
        at = now_ms()
        entry = entry_of(loss, at)
        headers = event_headers(entry, entry.event_id, at)
        try:
            value = self._codec.encode(entry)
            await (await self._producer.send(self._topic, value, key=EVERY_ACCOUNT.encode(), headers=headers))
        except KafkaError as error:
            log.warning("the audit log does not tell of what was lost: %s", type(error).__name__)
