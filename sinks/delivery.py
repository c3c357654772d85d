"""One webhook for one endpoint, and the records that it turns into when it is not taken. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from bus.inbox import Admitted
from schemas.cloudevents import Headers, event_headers
from schemas.ids import derived_id
from schemas.records import DeadWebhook, RejectedRecord, WebhookTask
from sinks.retry import Outcome, Retry, TaskHeaders
from sinks.window import Admission

STAGE = "webhooks"
"""Name of this sink in the rejected topic."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One webhook for one endpoint (`account/id`).

    `attempt` is the number of the attempt that comes next, from 1.
    `first_attempt_at` is in ms since 1970 UTC; `origin` is topic/partition/offset of the event's record,
    None while that is the record of `admission` itself.
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


def waiting(delivery: Delivery, step: Retry, now: int) -> tuple[WebhookTask, Headers]:
    """Record for the delay topic, with its headers; `now` is in ms."""
    task = WebhookTask(delivery.endpoint, delivery.event_id, delivery.event, delivery.body)
    headers = TaskHeaders(
        attempt=step.attempt,
        first_attempt_at=delivery.first_attempt_at,
        due_at=now + step.tier.delay_ms,
        origin=delivery.origin or delivery.admission.origin,
    )
    return task, event_headers(task, delivery.event_id, now) + headers.encode()


def dead(delivery: Delivery, outcome: Outcome, now: int) -> tuple[DeadWebhook, Headers]:
    """Record for the dead letters, with its headers; `now` is in ms."""
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
    )
    return record, event_headers(record, delivery.event_id, now)


def rejected(
    admission: Admission, reason: str, error: str, now: int, source: Admitted | None = None
) -> tuple[RejectedRecord, Headers]:
    """Record for the rejected topic, with its headers; `now` is in ms. The value is in it if `source` is given."""
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
