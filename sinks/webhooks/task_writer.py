"""Writes the webhook sink's records: waiting tasks, dead letters, rejected records."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from bus.worker.inbox import Admitted
from outbound.outcomes import Outcome
from schemas.cloudevents import Headers
from schemas.codec import Codec
from schemas.records import Record, RejectedRecord
from schemas.topics import Catalogue
from sinks.webhooks.delivery import Delivery, dead_record, deferred_record, rejected_record
from sinks.webhooks.outbox import Outbox, Outgoing, RecordProducer
from sinks.webhooks.retry import Retry, Schedule, parked
from sinks.webhooks.window import Admission

log = logging.getLogger(__name__)


class SinkRecords:
    """Puts records into the outbox. A delivery settles (`settled`) when its record is acknowledged."""

    def __init__(
        self,
        catalogue: Catalogue,
        codec: Codec,
        producer: RecordProducer,
        schedule: Schedule,
        *,
        now_ms: Callable[[], int],
        settled: Callable[[Admission], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        self.rejected: Counter[str] = Counter()
        self._catalogue = catalogue
        self._producer = producer
        self._schedule = schedule
        self._now_ms = now_ms
        self._broken = broken
        self._partitions: dict[str, int] = {}
        self._rejected_topic = catalogue["rejected"].name
        self._outbox = Outbox(producer, codec, settled=settled, too_large=self._too_large, broken=broken)

    async def start(self) -> None:
        """Start writing. The delay topics must exist."""
        for tier in self._schedule:
            topic = self._catalogue[f"webhooks_retry.{tier.name}"].name
            self._partitions[tier.name] = await self._producer.partitions(topic)
        self._partitions["parked"] = await self._producer.partitions(self._catalogue["webhooks_parked"].name)
        self._outbox.start()

    def stop(self) -> None:
        """Stop writing; unwritten records do not settle."""
        self._outbox.stop()

    def defer(self, delivery: Delivery, step: Retry) -> int:
        """Write a delivery to a delay topic. Returns when it is due, in ms."""
        partitions = self._partitions[step.tier.name]
        record, headers, partition, due_at = deferred_record(delivery, step, self._now_ms(), partitions)
        self._write(f"webhooks_retry.{step.tier.name}", record, headers, delivery, partition)
        return due_at

    def park(self, delivery: Delivery) -> None:
        """Write a delivery to the topic for paused endpoints."""
        step = parked(delivery.attempt, self._schedule)
        record, headers, partition, _ = deferred_record(delivery, step, self._now_ms(), self._partitions["parked"])
        self._write("webhooks_parked", record, headers, delivery, partition)

    def bury(self, delivery: Delivery, outcome: Outcome) -> None:
        """Write a delivery to the dead letters."""
        log.debug("gave up webhook %s for %s: %s", delivery.event_id, delivery.endpoint, outcome.label)
        record, headers = dead_record(delivery, outcome, self._now_ms())
        self._write("webhooks_dead", record, headers, delivery)

    def reject(self, source: Admitted, admission: Admission, reason: str, error: str) -> None:
        """Write a record that makes no sense to the rejected topic, in full."""
        record, headers = rejected_record(admission, reason, error, self._now_ms(), source)
        self._write_rejected(Outgoing(self._rejected_topic, record, source.record.key, headers, admission), reason)

    def _write(
        self, topic: str, record: Record, headers: Headers, delivery: Delivery, partition: int | None = None
    ) -> None:
        name, key = self._catalogue[topic].name, delivery.endpoint.encode()
        self._outbox.put(Outgoing(name, record, key, headers, delivery.admission, partition))

    def _too_large(self, outgoing: Outgoing) -> None:
        if isinstance(outgoing.record, RejectedRecord):
            self._broken(RuntimeError("the rejected topic refuses a record for its size"))
            return
        error = f"too large for {outgoing.topic}; the source record has all of it"
        record, headers = rejected_record(outgoing.admission, "too_large", error, self._now_ms())
        again = Outgoing(self._rejected_topic, record, outgoing.key, headers, outgoing.admission)
        self._write_rejected(again, "too_large")

    def _write_rejected(self, outgoing: Outgoing, reason: str) -> None:
        self.rejected[reason] += 1
        log.error("%s was rejected: %s", outgoing.admission.origin, reason)
        self._outbox.put(outgoing)
