"""Alert types, their severity, and an account's alert settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from schemas.records import AccountConfig


class Severity(IntEnum):
    """The severity of an alert."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @classmethod
    def named(cls, text: str) -> Severity:
        """Return the severity with this name. Raises KeyError."""
        return cls[text.upper()]

    def __str__(self) -> str:
        return self.name.lower()


class AlertType(NamedTuple):
    """An alert type. `on`: whether it is enabled by default. `many`: its plural in words."""

    severity: Severity
    on: bool
    many: str
    purpose: str


TYPES: Mapping[str, AlertType] = {
    "complaints": AlertType(
        Severity.CRITICAL, True, "complaints", "A recipient called a message spam, or its provider did."
    ),
    "unread_opt_outs": AlertType(
        Severity.CRITICAL,
        True,
        "payloads that may be opt-outs",
        "Something that could not be processed may contain an opt-out.",
    ),
    "lost_opt_outs": AlertType(
        Severity.CRITICAL,
        True,
        "losses among which opt-outs may be",
        "Kafka deleted records unread, and opt-outs of the account may be among them: contacts are not texted.",
    ),
    "held_removals": AlertType(
        Severity.CRITICAL,
        True,
        "brakes of partitions that took hold",
        "Rules would remove more of a list than is allowed per hour: the removals are held until a person decides.",
    ),
    "billing": AlertType(
        Severity.HIGH,
        True,
        "messages refused because of the account with the provider",
        "A provider refuses messages: no credit, or suspended.",
    ),
    "endpoint_paused": AlertType(
        Severity.HIGH,
        True,
        "changes of webhook endpoints",
        "A webhook endpoint was paused, has recovered, or its webhooks are about to expire.",
    ),
    "rejected_payloads": AlertType(
        Severity.HIGH, True, "rejected payloads", "Something sent by a provider could not be processed."
    ),
    "delivery_failures": AlertType(
        Severity.MEDIUM, True, "delivery failures", "A message was not delivered, and will not be."
    ),
    "opt_outs": AlertType(Severity.LOW, True, "opt-outs", "A recipient opted out."),
    "inbound_messages": AlertType(Severity.LOW, False, "replies", "A recipient replied, and it was not an opt-out."),
}
"""Every type by its name in settings, most severe first."""

SEVERITIES = tuple(map(str, Severity))

CHANNELS: Mapping[str, str] = {
    "discord": "discord_webhook_url",
    "slack": "slack_webhook_url",
    "webhook": "alert_webhook_url",
}
"""The account field with each channel's address."""


def is_on(account: AccountConfig, name: str) -> bool:
    """Whether an account wants alerts of this type, by its switch and by severity."""
    kind = TYPES[name]
    return account.alerts_on.get(name, kind.on) and kind.severity >= minimum_severity(account)


def minimum_severity(account: AccountConfig) -> Severity:
    """Return the minimum severity of an account's alerts."""
    # Settings are checked on write; a name from a later version counts as the lowest severity.
    return Severity.__members__.get(account.alerts_minimum_severity.upper(), Severity.LOW)


def is_muted(account: AccountConfig, now: int) -> bool:
    """Whether alerts are muted at this time, in ms since 1970 UTC."""
    return account.alerts_muted_until is not None and now < account.alerts_muted_until


def channels_of(account: AccountConfig) -> dict[str, str]:
    """Return addresses by channel, as stored in the settings: literal, sealed, or a reference."""
    found = {channel: getattr(account, field) for channel, field in CHANNELS.items()}
    return {channel: address for channel, address in found.items() if address is not None}
