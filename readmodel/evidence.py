"""Which records on Kafka are kept as evidence of a person's consent, and in which form. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from msgspec.structs import asdict

from database.bulk import Row
from schemas.records import (
    DATED_REASONS,
    WISH_CLASSES,
    AuditEntry,
    ContactAnswers,
    ContactCommand,
    ContactState,
    InboundMessage,
    Receipt,
    RemovedEvent,
    RestoredEvent,
    UnsubscribeEvent,
    WebhookAttempt,
)

EVIDENCE_TAKEN = "contact.evidence"
"""An export's name in the audit log."""

TOLD = frozenset({"unsubscribe", "removed", "restored"})
"""Events by which a webhook informs a customer about a consent."""

RAW_CHARACTERS = 8_000
"""Characters kept of a reply's or report's original; the hash covers the whole record."""

_LONG = ("raw", "text")
_LEFT_OUT = ("response_head",)
"""A customer's server may repeat the number in its answer, where an erasure would not find it."""


class Kept(NamedTuple):
    """A record to keep: its kind, its subject, and when (ms) it happened."""

    kind: str
    account: str
    number: str | None
    event_id: str
    list_number: str | None
    at: int
    received_at: int | None = None


def is_of_the_known_alone(record: Any) -> bool:
    """Whether a record is kept only if something else about its number is.

    A list of deactivated numbers names millions of strangers. And the record that somebody exported evidence may be
    written after the number was erased, and would be all that is left of it.
    """
    reason = getattr(record, "reason", None)
    match record:
        case ContactCommand() | ContactState():
            return reason in DATED_REASONS
        case RemovedEvent():
            return reason in DATED_REASONS and record.received_at is None
        case AuditEntry():
            return record.action == EVIDENCE_TAKEN
        case _:
            return False


def row_of(
    record: Any, value: bytes, place: str, written_at: int, source: str | None, source_sha256: str | None
) -> Row | None:
    """Return a record's row in the evidence table, or None if it does not affect consent. `value` is its bytes on
    Kafka."""
    rule = _RULES.get(type(record))
    kept = None if rule is None else rule(record)
    if kept is None:
        return None
    # Two machines' clocks differ: nothing takes effect before it arrived.
    effect = None if kept.received_at is None else max(0, written_at - kept.received_at)
    return {
        "account": kept.account,
        "number": kept.number,
        "kind": kept.kind,
        "event_id": kept.event_id,
        "list_number": kept.list_number or None,
        "at": min(kept.at, written_at),
        "recorded_at": written_at,
        "effect_ms": effect,
        "place": place,
        "sha256": hashlib.sha256(value).hexdigest(),
        "source": source,
        "source_sha256": source_sha256,
        "body": _body(record),
    }


def answers_of(record: ContactAnswers, value: bytes, place: str, written_at: int) -> Iterator[Row]:
    """Return a row in the answers table for each number of an answer. `value` is its bytes on Kafka."""
    told = orjson.loads(record.body)
    digest = hashlib.sha256(value).hexdigest()
    for each in told.get("contacts", [told]):
        if each["code"] == "invalid_number":
            continue
        yield {
            "account": record.account,
            "number": each["number"],
            "list_number": record.list_number,
            "purpose": record.purpose,
            "asked_by": record.asked_by,
            "event_id": record.event_id,
            "at": min(record.answered_at, written_at),
            "recorded_at": written_at,
            "as_of": told["as_of"],
            "place": place,
            "sha256": digest,
            "body": orjson.dumps(each).decode(),
        }


def _body(record: Any) -> str:
    fields = {name.rstrip("_"): value for name, value in asdict(record).items() if name not in _LEFT_OUT}
    for name in _LONG:
        value = fields.get(name)
        if isinstance(value, str) and len(value) > RAW_CHARACTERS:
            fields[name] = value[:RAW_CHARACTERS] + "…"
    return orjson.dumps(fields).decode()


def _reply(message: InboundMessage) -> Kept:
    at = message.received_at if message.occurred_at is None else min(message.occurred_at, message.received_at)
    return Kept("reply", message.account, message.from_, message.event_id, message.list_number, at)


def _report(receipt: Receipt) -> Kept | None:
    if receipt.status_class not in WISH_CLASSES or receipt.to is None:
        return None
    at = receipt.received_at if receipt.occurred_at is None else min(receipt.occurred_at, receipt.received_at)
    return Kept("report", receipt.account, receipt.to, receipt.event_id, None, at)


def _event_kept(event: UnsubscribeEvent | RemovedEvent | RestoredEvent) -> Kept:
    kind = {UnsubscribeEvent: "unsubscribe", RemovedEvent: "removed", RestoredEvent: "restored"}[type(event)]
    received_at = None if isinstance(event, RestoredEvent) else event.received_at
    return Kept(
        kind, event.account, event.phone_number, event.event_id, event.list_number, event.timestamp, received_at
    )


def _state(state: ContactState) -> Kept | None:
    if state.active and state.failures:
        return None  # it is counted, but nobody has said anything
    return Kept("state", state.account, state.phone_number, state.last_event_id, state.list_number, state.since)


def _order(order: ContactCommand) -> Kept | None:
    if order.command not in ("remove", "restore"):
        return None
    return Kept("order", order.account, order.phone_number, order.event_id, order.list_number, order.issued_at)


def _webhook(attempt: WebhookAttempt) -> Kept | None:
    if attempt.event not in TOLD:
        return None
    account = attempt.endpoint.partition("/")[0]
    return Kept("webhook", account, None, attempt.event_id, None, attempt.at)


def _audited(entry: AuditEntry) -> Kept | None:
    if not entry.action.startswith("contact.") or not entry.object.startswith("+"):
        return None
    return Kept("audit", entry.account, entry.object, entry.event_id, None, entry.at)


_RULES: Mapping[type, Callable[[Any], Kept | None]] = {
    InboundMessage: _reply,
    Receipt: _report,
    UnsubscribeEvent: _event_kept,
    RemovedEvent: _event_kept,
    RestoredEvent: _event_kept,
    ContactState: _state,
    ContactCommand: _order,
    WebhookAttempt: _webhook,
    AuditEntry: _audited,
}
