"""Alerts as an account wants them: their types, how much each matters, and what its settings say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from schemas.records import AccountConfig


class Severity(IntEnum):
    """How much an alert matters."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @classmethod
    def named(cls, text: str) -> Severity:
        """The severity of this name. Raises KeyError."""
        return cls[text.upper()]

    def __str__(self) -> str:
        return self.name.lower()


class AlertType(NamedTuple):
    """A type of alerts. `on`: whether it is told where an account does not say. `many`: several of them, in words."""

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
        "Something that could not be processed may say that a person wants no more messages.",
    ),
    "held_removals": AlertType(
        Severity.CRITICAL,
        True,
        "brakes that took hold",
        "Rules would remove more of a list than may be in an hour: it is held until a person says yes or no.",
    ),
    "billing": AlertType(
        Severity.HIGH, True, "messages refused for billing", "A provider refuses messages: no credit, or suspended."
    ),
    "endpoint_paused": AlertType(
        Severity.HIGH, True, "changes of endpoints", "A webhook endpoint was paused, expires or answers again."
    ),
    "rejected_payloads": AlertType(
        Severity.HIGH, True, "rejected payloads", "Something that a provider sent could not be processed."
    ),
    "delivery_failures": AlertType(
        Severity.MEDIUM, True, "delivery failures", "A message was not delivered, and will not be."
    ),
    "opt_outs": AlertType(Severity.LOW, True, "opt-outs", "A recipient wants no more messages."),
    "inbound_messages": AlertType(Severity.LOW, False, "replies", "A recipient answered, and it was not an opt-out."),
}
"""Every type by its name in settings, what matters most first."""

SEVERITIES = tuple(map(str, Severity))

CHANNELS: Mapping[str, str] = {
    "discord": "discord_webhook_url",
    "slack": "slack_webhook_url",
    "webhook": "alert_webhook_url",
}
"""Field of an account's settings that holds the address of each channel."""


def is_on(account: AccountConfig, name: str) -> bool:
    """Whether an account wants alerts of this type, by its switch and by severity."""
    kind = TYPES[name]
    return account.alerts_on.get(name, kind.on) and kind.severity >= minimum_severity(account)


def minimum_severity(account: AccountConfig) -> Severity:
    """What an account's alerts must at least be."""
    # Settings are checked when they are written; a name from a later version is taken for the least.
    return Severity.__members__.get(account.alerts_minimum_severity.upper(), Severity.LOW)


def is_muted(account: AccountConfig, now: int) -> bool:
    """Whether nothing is told at this time, in ms since 1970 UTC."""
    return account.alerts_muted_until is not None and now < account.alerts_muted_until


def channels_of(account: AccountConfig) -> dict[str, str]:
    """Addresses by channel, as they stand in the settings: literal, sealed or a reference."""
    found = {channel: getattr(account, field) for channel, field in CHANNELS.items()}
    return {channel: address for channel, address in found.items() if address is not None}
