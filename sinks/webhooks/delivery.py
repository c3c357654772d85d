"""One webhook for one endpoint, and the records written if it is not accepted. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.worker.inbox import Admitted
from outbound.formats import JSON, array_of
from outbound.outcomes import Outcome
from schemas.cloudevents import Headers, event_headers
from schemas.ids import derived_id
from schemas.records import DeadWebhook, RejectedRecord, WebhookTask
from sinks.webhooks.contact_order import slot_of
from sinks.webhooks.retry import Retry, TaskHeaders, placed
from sinks.webhooks.window import Admission, merged

STAGE = "webhooks"
"""Name of this sink in the rejected topic."""

REPLAYED = "replayed"
"""Stands for replayed deliveries among those that wait for a turn."""

BATCH = "batch"
"""Event name of several events in one request."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One webhook for one endpoint (`account/id`), or for an account's callbacks to a host (`account/~host`).

    `attempt` is the number of the next attempt, from 1. `first_attempt_at` is in ms since 1970 UTC; `origin` is
    topic/partition/offset of the event's record, None while that is the record of `admission` itself. `url` is set
    for callbacks of messages, which have their own. `loose`: the body is an element of an array yet to be built;
    see `batch_of`. `parked_at`: since when it waits for its paused endpoint, in ms. `mark`: its place among deliveries
    that wait elsewhere (`sinks.webhooks.lane_order`). `replayed`: it is sent on command. `traceparent`: the W3C trace
    context of its source callback. `list_number`: the event's list, if its endpoint limits that list. `received_at`:
    when (ms) that callback was received, until the first attempt is deferred.
    """

    endpoint: str
    event_id: str
    event: str
    body: bytes
    contact: str | None
    admission: Admission
    attempt: int = 1
    first_attempt_at: int | None = None
    origin: str | None = None
    url: str | None = None
    content_type: str = JSON
    loose: bool = False
    parked_at: int | None = None
    mark: int | None = None
    replayed: bool = False
    traceparent: bytes | None = None
    received_at: int | None = None
    list_number: str | None = None
    queued_at: float = 0.0
    parts: tuple[Delivery, ...] = field(default=())

    @property
    def order_key(self) -> str:
        """Key for ordering in a delay topic: the endpoint's webhooks about one contact."""
        return f"{self.endpoint}/{self.contact or self.event_id}"

    @property
    def is_new(self) -> bool:
        """Whether it comes from its event, not from a delay topic or a replay."""
        return self.origin is None

    @property
    def keeps_order(self) -> bool:
        """Whether it is part of its contact's order, which ends with a failed attempt; nothing replayed is."""
        return self.attempt == 1 and not self.replayed and self.contact is not None

    @property
    def slot(self) -> int:
        """Number under which it is remembered while it waits elsewhere."""
        return slot_of(self.contact if self.keeps_order else None, self.event_id)

    @property
    def sharers(self) -> str | None:
        """Those among which its turn comes while deferred: its list's deliveries if that list is limited, replayed
        ones, or None for all others."""
        return REPLAYED if self.replayed else self.list_number

    @property
    def stored_content_type(self) -> str | None:
        """The content type as stored in records: None for plain JSON."""
        return None if self.content_type == JSON else self.content_type

    def bind(self) -> None:
        """Turn a loose body into a request's whole body: an array of one."""
        if self.loose:
            self.body = array_of((self.body,))
            self.loose = False


def batch_of(parts: Sequence[Delivery]) -> Delivery:
    """Combine loose deliveries of one endpoint into one request. Its id is derived from their ids."""
    first = parts[0]
    if len(parts) == 1:
        first.bind()
        return first
    return Delivery(
        first.endpoint,
        derived_id(BATCH, first.endpoint, *(part.event_id for part in parts)),
        BATCH,
        array_of(part.body for part in parts),
        None,
        merged([part.admission for part in parts]),
        content_type=first.content_type,
        parts=tuple(parts),
    )


def from_task(task: WebhookTask, headers: TaskHeaders, admission: Admission) -> Delivery:
    """Return the delivery for a due task."""
    return Delivery(
        task.endpoint,
        task.event_id,
        task.event,
        task.body,
        task.contact,
        admission,
        headers.attempt,
        headers.first_attempt_at,
        headers.origin,
        task.url,
        task.content_type or JSON,
        parked_at=headers.parked_at,
        mark=headers.mark,
        replayed=headers.replayed,
        list_number=task.list_number,
    )


def deferred_record(
    delivery: Delivery, step: Retry, now: int, partitions: int
) -> tuple[WebhookTask, Headers, int, int]:
    """Return the delay topic's record with its headers, its partition, and its due time; `now` is in ms."""
    delivery.bind()
    partition, delay = placed(step, delivery.order_key, partitions)
    task = WebhookTask(
        delivery.endpoint,
        delivery.event_id,
        delivery.event,
        delivery.body,
        delivery.url,
        delivery.contact,
        delivery.stored_content_type,
        delivery.list_number,
    )
    headers = TaskHeaders(
        attempt=step.attempt,
        first_attempt_at=delivery.first_attempt_at,
        due_at=now + delay,
        origin=delivery.origin or delivery.admission.origin,
        parked_at=delivery.parked_at,
        mark=delivery.mark,
        replayed=delivery.replayed,
    )
    own = event_headers(task, delivery.event_id, now, delivery.traceparent)
    return task, own + headers.encode(), partition, now + delay


def dead_record(delivery: Delivery, outcome: Outcome, now: int) -> tuple[DeadWebhook, Headers]:
    """Return the dead letter with its headers; `now` is in ms."""
    delivery.bind()
    record = DeadWebhook(
        endpoint=delivery.endpoint,
        event_id=delivery.event_id,
        event=delivery.event,
        body=delivery.body,
        attempts=delivery.attempt,
        last_status=outcome.status,
        error_class=outcome.error_class or "",
        first_attempt_at=now if delivery.first_attempt_at is None else delivery.first_attempt_at,
        died_at=now,
        origin=delivery.origin or delivery.admission.origin,
        url=delivery.url,
        contact=delivery.contact,
        content_type=delivery.stored_content_type,
    )
    return record, event_headers(record, delivery.event_id, now, delivery.traceparent)


def rejected_record(
    admission: Admission, reason: str, error: str, now: int, source: Admitted | None = None
) -> tuple[RejectedRecord, Headers]:
    """Return the rejected topic's record with its headers; `now` is in ms. It contains the value if `source` is
    given."""
    tp = admission.ledger.tp
    record = RejectedRecord(
        event_id=derived_id(tp.topic, tp.partition, admission.offset, STAGE, reason),
        stage=STAGE,
        reason=reason,
        error=error[:2_000],
        source_topic=tp.topic,
        source_partition=tp.partition,
        source_offset=admission.offset,
        source_value=None if source is None else source.record.value,
        rejected_at=now,
    )
    return record, event_headers(record, record.event_id, now)
