"""What an account is alerted to: a record of Kafka becomes an alert, or none. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.cloudevents import iso_time
from schemas.masking import masked
from schemas.records import FAILED_STATUSES, DeliveryEvent, EndpointAlert, RejectedRecord, ReplyEvent, UnsubscribeEvent

BILLING: Mapping[str, frozenset[str]] = {
    "infobip": frozenset({"REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_PREPAID_PACKAGE_EXPIRED"}),
    "twilio": frozenset({"ACCOUNT_SUSPENDED"}),
}
"""Details by provider that say that the sender's account has no credit, or is suspended. Infobip:
https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes (5,12) and (5,17); Twilio:
https://www.twilio.com/docs/api/errors/30002. CM, Lime and EZ Texting have no such code."""

ENDPOINT_EVENTS: Mapping[str, str] = {
    "endpoint.paused": "Webhook endpoint {} is paused",
    "endpoint.expiring": "Webhooks of the paused endpoint {} expire soon",
    "endpoint.recovered": "Webhook endpoint {} answers again",
}
"""Titles by event of an endpoint."""

LONGEST = 200
"""Characters of a fact or a reason. Providers write some of them."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that happened. `type` is one of `accounts.alerts.TYPES`; `reason` is what many of them are told apart
    by; `facts` are told where it is the only one. Numbers of recipients are masked.
    """

    event_id: str
    account: str
    type: str
    title: str
    reason: str
    facts: Mapping[str, str]


def alert_of(record: object) -> Alert | None:
    """The alert that a record of Kafka gives. None: nobody is alerted by it."""
    rule = _RULES.get(type(record))
    return None if rule is None else rule(record)


def _of_delivery(event: DeliveryEvent) -> Alert | None:
    if not event.final or event.status not in FAILED_STATUSES:
        return None
    is_billing = event.status_detail in BILLING.get(event.provider, ())
    if not is_billing and event.status_class in ("complaint", "opt_out"):
        return None  # the contact's removal tells it
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
    # What removes a contact for its failures is told with them, and an operator knows what it ordered.
    kind = {"message": "opt_outs", "complaint": "complaints"}.get(event.reason)
    if kind is None:
        return None
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


def _of_reply(event: ReplyEvent) -> Alert:
    # The text is not told: it may hold anything, and a channel keeps it for good.
    return _alert(
        event,
        "inbound_messages",
        "A recipient replied",
        f"to {event.list_number}" if event.list_number else "to no list",
        {"Number": masked(event.phone_number), "List": event.list_number, "Provider": event.provider},
    )


def _of_rejected(record: RejectedRecord) -> Alert | None:
    if record.account is None:
        return None  # nobody's
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


def _alert(record: Any, kind: str, title: str, reason: str, facts: Mapping[str, str | None]) -> Alert:
    told = {name: value[:LONGEST] for name, value in facts.items() if value}
    return Alert(record.event_id, record.account, kind, title, reason[:LONGEST], told)


_RULES: Mapping[type, Callable[[Any], Alert | None]] = {
    DeliveryEvent: _of_delivery,
    UnsubscribeEvent: _of_unsubscribe,
    ReplyEvent: _of_reply,
    RejectedRecord: _of_rejected,
    EndpointAlert: _of_endpoint,
}
