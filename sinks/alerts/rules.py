"""Turns Kafka records into alerts, or none. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from providers import PROVIDERS
from providers.base import NOT_SUPPORTED, OTHER_CHANNEL
from schemas.cloudevents import iso_time
from schemas.ids import derived_id
from schemas.masking import masked
from schemas.records import (
    COMMAND_PROVIDER,
    FAILED_STATUSES,
    OF_ANYONE,
    OF_NOBODY,
    DeliveryEvent,
    EndpointAlert,
    RecordsLost,
    RejectedRecord,
    RemovalsHeld,
    RemovedEvent,
    ReplyEvent,
    UnsubscribeEvent,
)

ENDPOINT_EVENTS: Mapping[str, str] = {
    "endpoint.paused": "Webhook endpoint {} is paused",
    "endpoint.expiring": "Webhooks of the paused endpoint {} will expire soon",
    "endpoint.recovered": "Webhook endpoint {} answers again",
}
"""Titles by endpoint event."""

SILENT = frozenset({NOT_SUPPORTED, OTHER_CHANNEL})
"""Reasons for items that are understood but produce no event, such as typing notices."""

LONGEST = 200
"""Maximum characters of a fact or a reason, some of which providers write."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One incident. `type` is one of `accounts.alerts.TYPES`; `reason` distinguishes incidents of a type; `facts` are
    shown for a single one. Recipients' numbers are masked."""

    event_id: str
    account: str
    type: str
    title: str
    reason: str
    facts: Mapping[str, str]


def alert_of(record: object) -> Alert | None:
    """Return the alert for a Kafka record. None: it causes no alert."""
    rule = _RULES.get(type(record))
    return None if rule is None else rule(record)


def alerts_of(record: object, accounts: Iterable[str]) -> list[Alert]:
    """Return the alerts for a Kafka record; one about the whole installation is one to each of the accounts."""
    if isinstance(record, RecordsLost):
        return [] if record.opt_outs == OF_NOBODY else [_of_loss(record, account) for account in accounts]
    alert = alert_of(record)
    return [] if alert is None else [alert]


def _of_delivery(event: DeliveryEvent) -> Alert | None:
    if not event.final or event.status not in FAILED_STATUSES:
        return None
    provider = PROVIDERS.get(event.provider)
    is_billing = provider is not None and event.status_detail in provider.billing_details
    if not is_billing and event.status_class in ("complaint", "opt_out"):
        return None  # the contact's removal reports it
    return _alert(
        event,
        "billing" if is_billing else "delivery_failures",
        f"{event.provider} refuses messages" if is_billing else "A message was not delivered",
        event.status_detail,
        {
            "Provider": event.provider,
            "Reason": event.status_detail,
            "Code": event.provider_code,
            "Message": event.message_id,
            "List": event.list_number,
        },
    )


def _of_unsubscribe(event: UnsubscribeEvent) -> Alert | None:
    kind = "complaints" if event.reason == "complaint" else "opt_outs"
    return _alert(
        event,
        kind,
        "A recipient complained" if kind == "complaints" else "A recipient opted out",
        event.keyword or f"reported by {event.provider}",
        {
            "Number": masked(event.phone_number),
            "List": event.list_number,
            "Keyword": event.keyword,
            "Provider": event.provider,
        },
    )


def _of_removed(event: RemovedEvent) -> Alert | None:
    # Failures that remove a contact are reported with the failures, and operators know what they ordered.
    if event.reason != "complaint" or event.provider == COMMAND_PROVIDER:
        return None
    return _alert(
        event,
        "complaints",
        "A recipient complained",
        f"reported by {event.provider}",
        {
            "Number": masked(event.phone_number),
            "List": event.list_number,
            "Message": event.message_id,
            "Provider": event.provider,
        },
    )


def _of_reply(event: ReplyEvent) -> Alert:
    # The text is not included: it may contain anything, and a channel keeps it for good.
    return _alert(
        event,
        "inbound_messages",
        "A recipient replied",
        f"to {event.list_number}" if event.list_number else "to no list",
        {"Number": masked(event.phone_number), "List": event.list_number, "Provider": event.provider},
    )


def _of_rejected(record: RejectedRecord) -> Alert | None:
    if record.account is None:
        return None  # belongs to nobody
    if record.may_opt_out:
        return _alert(
            record,
            "unread_opt_outs",
            "Something unreadable may be an opt-out",
            record.reason,
            {"Provider": record.provider, "Reason": record.reason, "Id": record.event_id},
        )
    if record.reason in SILENT:
        return None
    return _alert(
        record,
        "rejected_payloads",
        "A payload was rejected",
        record.reason,
        {"Provider": record.provider, "Stage": record.stage, "Reason": record.reason},
    )


def _of_endpoint(alert: EndpointAlert) -> Alert:
    return _alert(
        alert,
        "endpoint_paused",
        ENDPOINT_EVENTS.get(alert.event, f"{alert.event}: {{}}").format(f"{alert.account}/{alert.endpoint}"),
        f"{alert.event} {alert.endpoint}",
        {
            "Endpoint": f"{alert.account}/{alert.endpoint}",
            "Reason": alert.reason,
            "Last error": alert.error,
            "Failures in a row": str(alert.failures) if alert.failures else None,
            "Since": iso_time(alert.since),
        },
    )


def _of_held(held: RemovalsHeld) -> Alert:
    return _alert(
        held,
        "held_removals",
        "Removals from a list are held: approve or reject them",
        f"{held.list_number or 'every list'}: {held.reason}",
        {
            "List": held.list_number or "every list",
            "Reason": held.reason,
            "Removed in the hour": f"{held.removed:,} of {held.contacts:,} contacts in partition {held.partition}",
            "Decide": f"trackly brake list {held.account}, or Held removals in the console",
        },
    )


def _of_loss(loss: RecordsLost, account: str) -> Alert:
    whose = "any contact" if loss.opt_outs == OF_ANYONE else "contacts of one partition"
    facts = {
        "Records": f"{'up to ' if loss.uncertain else ''}{loss.count:,} of {loss.topic}",
        "Not texted": whose,
        "Since": iso_time(loss.noticed_at),
        "To do": "Import your providers' lists of opt-outs; then an operator runs trackly losses settle",
    }
    title = "Opt-outs may be lost: contacts are not texted"
    return Alert(derived_id(loss.event_id, account), account, "lost_opt_outs", title, loss.topic, facts)


def _alert(record: Any, kind: str, title: str, reason: str, facts: Mapping[str, str | None]) -> Alert:
    told = {name: value[:LONGEST] for name, value in facts.items() if value}
    return Alert(record.event_id, record.account, kind, title, reason[:LONGEST], told)


_RULES: Mapping[type, Callable[[Any], Alert | None]] = {
    DeliveryEvent: _of_delivery,
    UnsubscribeEvent: _of_unsubscribe,
    RemovedEvent: _of_removed,
    ReplyEvent: _of_reply,
    RejectedRecord: _of_rejected,
    EndpointAlert: _of_endpoint,
    RemovalsHeld: _of_held,
}
