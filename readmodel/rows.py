"""What each Kafka record means for the read model: rows, counts, news about messages and contacts. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Table

from accounts.lists import ADDRESS, LIST_ID
from database.bulk import Row
from database.latencies import latency_class
from database.tables import (
    alerts,
    attempts,
    audit,
    callbacks_seen,
    contact_changes,
    dead_webhooks,
    events,
    hourly_attempts,
    hourly_events,
    hourly_latencies,
    minutely_events,
    receipts,
    receivers,
    rejected,
    replies,
)
from outbound.bodies import PublicEvent, body_of, contact_of, event_name
from readmodel.messages import DeliveryReport, MessageNews
from readmodel.tags import tags_of
from schemas.numbering import spellings
from schemas.records import (
    CONFIRM,
    DROP,
    FOLLOW,
    JOIN,
    PASS_ON,
    RELEASE,
    SETTLE,
    AlertTold,
    AuditEntry,
    CallbacksSeen,
    ClickEvent,
    ContactAnswers,
    ContactCommand,
    ContactState,
    ConversionEvent,
    DeadWebhook,
    DeliveryEvent,
    InboundMessage,
    MessageSent,
    Receipt,
    RejectedRecord,
    RemovedEvent,
    ReplyEvent,
    RestoredEvent,
    SentEvent,
    UnsubscribeEvent,
    WebhookAttempt,
)

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000

ITEM_CHARACTERS = 4_000
"""Characters kept of a rejected item; Kafka has all of it."""


class RecordPlace(NamedTuple):
    """A record's position on Kafka, its key, its time (ms), and the headers `source` and `version`.

    `tag_arguments` are the names of arguments of messages that serve as their tags.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    source: str | None = None
    version: int | None = None
    tag_arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    def at(self, time: int) -> int:
        """Return a time named in the record, but no later than the record's own: providers' clocks may be wrong."""
        return min(time, self.timestamp)


class Count(Struct, frozen=True, gc=False):
    """An increment to a row of a count table. A time among the sums is not added: the newest one counts."""

    table: Table
    key: tuple[str | int, ...]
    sums: tuple[int, ...]


class NewRow(Struct, frozen=True, gc=False):
    """A row to add unless its identity exists; only then `follows` applies too."""

    table: Table
    row: Row
    follows: tuple[Count | MessageNews, ...] = ()


class IfKnown(Struct, frozen=True, gc=False):
    """A row about a number, to add only if the table has another row about it."""

    table: Table
    row: Row


class ContactNews(Struct, frozen=True, gc=False):
    """A contact's state, with its version if it has one. `row` is None for an erased contact."""

    contact: str
    row: Row | None
    version: int | None = None


class Answered(Struct, frozen=True, gc=False):
    """A webhook was answered 2xx: if it was a dead letter, it is now delivered."""

    account: str
    event_id: str


class Erasure(Struct, frozen=True, gc=False):
    """Nothing read before may mention the number anymore."""

    account: str
    number: str


class Latest(Struct, frozen=True, gc=False):
    """A row that replaces the one with its primary key."""

    table: Table
    row: Row


Change = NewRow | IfKnown | Count | MessageNews | ContactNews | Answered | Erasure | Latest


def _event(event: PublicEvent, place: RecordPlace) -> Iterable[Change]:
    name, at = event_name(event), place.at(event.timestamp)
    row = {
        "event_id": event.event_id,
        "account": event.account,
        "event": name,
        "message_id": getattr(event, "message_id", None),
        "provider_message_id": getattr(event, "provider_message_id", None),
        "number": contact_of(event),
        "list_number": event.list_number,
        "body": body_of(event).decode(),
        "place": str(place),
        "at": at,
    }
    provider = event.network if isinstance(event, ConversionEvent) else event.provider
    status, detail = _counted_as(event)
    key = (event.account, at - at % HOUR, name, provider, event.list_number or "", status, detail)
    count = Count(hourly_events, key, (1,))
    counts = (count, Count(minutely_events, (event.account, at - at % MINUTE), (1,)))
    if isinstance(event, DeliveryEvent | SentEvent):
        yield NewRow(events, row, (*counts, _message_of_event(event, at)))
    else:
        yield NewRow(events, row, counts)
    if isinstance(event, UnsubscribeEvent | RemovedEvent | RestoredEvent):
        yield NewRow(
            contact_changes,
            {
                "account": event.account,
                "list_number": event.list_number,
                "number": event.phone_number,
                "change": "restored" if isinstance(event, RestoredEvent) else "removed",
                "reason": event.reason,
                "keyword": event.keyword if isinstance(event, UnsubscribeEvent) else None,
                "issued_by": None,
                "event_id": event.event_id,
                "at": at,
            },
        )


def _counted_as(event: PublicEvent) -> tuple[str, str]:
    """Return the status and detail under which an event is counted; empty if it has none."""
    match event:
        case DeliveryEvent():
            return event.status, event.status_detail
        case UnsubscribeEvent() | RemovedEvent() | RestoredEvent():
            return "", event.reason
        case ConversionEvent():
            return "", event.type
        case ReplyEvent() | SentEvent() | ClickEvent():
            return "", ""


def _message_of_event(event: DeliveryEvent | SentEvent, at: int) -> MessageNews:
    report = part_count = None
    if isinstance(event, DeliveryEvent):
        report = DeliveryReport(event.status, event.status_detail, event.status_class, event.provider_code, event.final)
    else:
        part_count = event.part_count
    return MessageNews(
        account=event.account,
        provider=event.provider,
        provider_message_id=event.provider_message_id,
        message_id=event.message_id,
        number=event.to,
        list_number=event.list_number,
        part_count=part_count,
        report=report,
        at=at,
    )


def _message_sent(message: MessageSent, place: RecordPlace) -> Iterable[Change]:
    yield MessageNews(
        account=message.account,
        provider=message.provider,
        provider_message_id=message.provider_message_id,
        message_id=message.message_id,
        number=message.to,
        list_number=message.list_number,
        part_count=message.part_count,
        registered_at=place.timestamp,
        tags=tags_of(message.unique_args, place.tag_arguments),
        at=place.at(message.sent_at),
    )


def _receipt(receipt: Receipt, place: RecordPlace) -> Iterable[Change]:
    row = {
        "event_id": receipt.event_id,
        "account": receipt.account,
        "provider": receipt.provider,
        "provider_message_id": receipt.provider_message_id,
        "number": receipt.to,
        "status": receipt.status,
        "status_detail": receipt.status_detail,
        "status_class": receipt.status_class,
        "provider_status": receipt.provider_status,
        "provider_code": receipt.provider_code,
        "provider_text": receipt.provider_text,
        "occurred_at": receipt.occurred_at,
        "received_at": place.at(receipt.received_at),
        "source": place.source,
    }
    yield NewRow(receipts, row, tuple(_receivers(receipt, place.at(receipt.received_at))))


def _inbound(message: InboundMessage, place: RecordPlace) -> Iterable[Change]:
    row = {
        "event_id": message.event_id,
        "account": message.account,
        "provider": message.provider,
        "number": message.from_,
        "to_number": message.to,
        "list_number": message.list_number,
        "text": message.text,
        "kind": message.kind,
        "keyword": message.keyword,
        "received_at": place.at(message.received_at),
        "source": place.source,
    }
    yield NewRow(replies, row, tuple(_receivers(message, place.at(message.received_at))))


def _receivers(report: Receipt | InboundMessage, at: int) -> Iterable[Count]:
    """Return how a report or reply names the sender's side."""
    sums, named = (0, 1, at), [(ADDRESS, report.from_)]
    if isinstance(report, InboundMessage):
        sums, named = (1, 0, at), [(ADDRESS, report.to), (LIST_ID, report.list_number)]
    for kind, receiver in named:
        if receiver:
            key = (report.account, at - at % DAY, report.provider, kind, report.channel or "", receiver)
            yield Count(receivers, key, sums)


def _contact(state: ContactState | None, place: RecordPlace) -> Iterable[Change]:
    if state is None:
        yield ContactNews((place.key or b"").decode("utf-8", "replace"), None, place.version)
        return
    if state.active and state.known_as is not None:
        # It only gives the number that an id belongs to; that number's state is recorded elsewhere.
        yield ContactNews(state.contact, None, place.version)
        return
    row = {
        "contact": state.contact,
        "account": state.account,
        "list_number": state.list_number,
        "number": state.phone_number,
        "active": state.active,
        "failures": state.failures,
        "reason": state.reason,
        "since": place.at(state.since),
        "last_event_id": state.last_event_id,
        "version": state.version,
        "held": state.held,
    }
    yield ContactNews(state.contact, row, state.version)


def _command(command: ContactCommand, place: RecordPlace) -> Iterable[Change]:
    if command.command == "erase":
        # Rows have numbers as received.
        yield from (Erasure(command.account, each) for each in spellings(command.phone_number))
        return
    if command.command in (DROP, JOIN, FOLLOW, SETTLE, PASS_ON, CONFIRM, RELEASE):
        return
    row = {
        "account": command.account,
        "list_number": command.list_number or None,
        "number": command.phone_number,
        "change": command.command,
        "reason": command.reason,
        "keyword": None,
        "issued_by": command.issued_by,
        "event_id": command.event_id,
        "at": place.at(command.issued_at),
    }
    yield NewRow(contact_changes, row)


def _attempt(attempt: WebhookAttempt, place: RecordPlace) -> Iterable[Change]:
    account, _, endpoint = attempt.endpoint.partition("/")
    at = place.at(attempt.at)
    outcome = f"{attempt.status // 100}xx" if attempt.status is not None else attempt.error_class or ""
    row = {
        "account": account,
        "endpoint": endpoint,
        "event_id": attempt.event_id,
        "event": attempt.event,
        "attempt": attempt.attempt,
        "url": attempt.url,
        "outcome": outcome,
        "status": attempt.status,
        "error_class": attempt.error_class,
        "latency_ms": attempt.latency_ms,
        "response_head": attempt.response_head,
        "request_size": attempt.request_size,
        "next_attempt_at": attempt.next_attempt_at,
        "final": attempt.final,
        "asked": attempt.asked,
        "at": at,
    }
    hour = at - at % HOUR
    counts = [Count(hourly_attempts, (account, hour, endpoint, outcome), (1, attempt.latency_ms))]
    if attempt.status is not None or attempt.error_class == "timeout":
        # A request that never reached the receiver says nothing about its speed.
        counts.append(Count(hourly_latencies, (account, hour, endpoint, latency_class(attempt.latency_ms)), (1,)))
    yield NewRow(attempts, row, tuple(counts))
    if attempt.error_class is None:
        yield Answered(account, attempt.event_id)


def _dead(webhook: DeadWebhook, place: RecordPlace) -> Iterable[Change]:
    account, _, endpoint = webhook.endpoint.partition("/")
    row = {
        "account": account,
        "endpoint": endpoint,
        "event_id": webhook.event_id,
        "event": webhook.event,
        "body": webhook.body,
        "attempts": webhook.attempts,
        "last_status": webhook.last_status,
        "error_class": webhook.error_class,
        "first_attempt_at": webhook.first_attempt_at,
        "died_at": place.at(webhook.died_at),
        "origin": webhook.origin,
        "place": str(place),
        "delivered_at": None,
        "number": webhook.contact,
    }
    yield NewRow(dead_webhooks, row)
    # A replay may already have been answered: attempts are on another topic.
    yield Answered(account, webhook.event_id)


def _rejected(record: RejectedRecord, place: RecordPlace) -> Iterable[Change]:
    row = {
        "event_id": record.event_id,
        "account": record.account or "",
        "provider": record.provider,
        "stage": record.stage,
        "reason": record.reason,
        "error": record.error,
        "source": f"{record.source_topic}/{record.source_partition}/{record.source_offset}",
        "item_index": record.item_index,
        "item": record.item[:ITEM_CHARACTERS] if record.item is not None else None,
        "place": str(place),
        "rejected_at": place.at(record.rejected_at),
        "may_opt_out": record.may_opt_out,
    }
    yield NewRow(rejected, row)


def _alert_told(told: AlertTold, place: RecordPlace) -> Iterable[Change]:
    row = {
        "event_id": told.event_id,
        "account": told.account,
        "type": told.type,
        "severity": told.severity,
        "title": told.title,
        "text": told.text,
        "count": told.count,
        "outcome": told.outcome,
        "at": place.at(told.at),
    }
    yield NewRow(alerts, row)


def _audit(entry: AuditEntry, place: RecordPlace) -> Iterable[Change]:
    row = {
        "event_id": entry.event_id,
        "account": entry.account,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "details": entry.details,
        "remote_ip": entry.remote_ip,
        "outcome": entry.outcome,
        "at": entry.at,
    }
    yield NewRow(audit, row)


def _callbacks_seen(seen: CallbacksSeen, place: RecordPlace) -> Iterable[Change]:
    row = {
        "account": seen.account,
        "provider": seen.provider,
        "instance": seen.instance,
        "taken": seen.taken,
        "refused": sum(seen.refused.values()),
        "last_taken_at": seen.last_taken_at,
        "last_refused_at": seen.last_refused_at,
        "last_refusal": seen.last_refusal,
        "updated_at": place.at(seen.updated_at),
    }
    yield Latest(callbacks_seen, row)


def _none(record: Any, place: RecordPlace) -> Iterable[Change]:
    """Handle a record that is only evidence."""
    return ()


class RecordRule(NamedTuple):
    """Which records a topic holds, and the meaning of one. `tombstones`: the rule gets None for a deleted key."""

    records: tuple[type, ...]
    changes: Callable[[Any, RecordPlace], Iterable[Change]]
    tombstones: bool = False


RULES: Mapping[str, RecordRule] = {
    "messages": RecordRule((MessageSent,), _message_sent),
    "receipts": RecordRule((Receipt,), _receipt),
    "inbound": RecordRule((InboundMessage,), _inbound),
    "delivery": RecordRule((DeliveryEvent,), _event),
    "sent": RecordRule((SentEvent,), _event),
    "reply": RecordRule((ReplyEvent,), _event),
    "unsubscribe": RecordRule((UnsubscribeEvent,), _event),
    "removed": RecordRule((RemovedEvent,), _event),
    "restored": RecordRule((RestoredEvent,), _event),
    "click": RecordRule((ClickEvent,), _event),
    "conversion": RecordRule((ConversionEvent,), _event),
    "contacts": RecordRule((ContactState,), _contact, tombstones=True),
    "commands": RecordRule((ContactCommand,), _command),
    "answers": RecordRule((ContactAnswers,), _none),
    "webhooks_attempts": RecordRule((WebhookAttempt,), _attempt),
    "webhooks_dead": RecordRule((DeadWebhook,), _dead),
    "rejected": RecordRule((RejectedRecord,), _rejected),
    "alerts_told": RecordRule((AlertTold,), _alert_told),
    "audit": RecordRule((AuditEntry,), _audit),
    "callbacks_seen": RecordRule((CallbacksSeen,), _callbacks_seen),
}
"""The topics to read, by the catalogue's short name."""
