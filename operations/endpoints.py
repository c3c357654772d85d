"""Changes of an endpoint's settings that people order: pauses and the rotation of secrets. Pure."""

from __future__ import annotations

from dataclasses import replace

from accounts.model import config_key
from outbound.signing import secrets_at
from schemas.cloudevents import iso_time
from schemas.records import EndpointConfig

OPERATOR, CUSTOMER = "operator", "customer"
"""Reasons of a pause that a person ordered: one who runs the account, or the endpoint's own customer."""


class ChangeRefused(ValueError):
    """A change that makes no sense. The text is a sentence for the person who ordered it."""


class UnderWay(ChangeRefused):
    """The endpoint's secrets are being rotated already."""


def state_of(config: EndpointConfig) -> str:
    """`active`, `paused` (by a person or by trackly) or `disabled` (by its settings)."""
    if config.paused_at is not None:
        return "paused"
    return "active" if config.enabled else "disabled"


def paused(config: EndpointConfig, now: int, reason: str = OPERATOR) -> EndpointConfig:
    """The endpoint paused at `now` (ms); as it is where it is paused already. Raises ChangeRefused."""
    if config.paused_at is not None:
        return config
    if not config.enabled:
        raise ChangeRefused(f"{config_key(config)} is disabled by its settings already: it gets nothing.")
    return replace(config, enabled=False, paused_reason=reason, paused_at=now)


def resumed(config: EndpointConfig) -> EndpointConfig:
    """The endpoint without its pause, whatever the reason. Raises ChangeRefused."""
    if config.paused_at is None and not config.enabled:
        raise ChangeRefused(
            f"{config_key(config)} is disabled by its settings: write enabled = true there and apply them."
        )
    return replace(config, enabled=True, paused_reason=None, paused_at=None)


def resumed_by_customer(config: EndpointConfig) -> EndpointConfig:
    """The endpoint without its pause, unless an operator has ordered it. Raises ChangeRefused."""
    if config.paused_reason == OPERATOR:
        raise ChangeRefused("Whoever sends you these webhooks has paused them; ask there.")
    if config.paused_at is None and not config.enabled:
        raise ChangeRefused("Whoever sends you these webhooks has disabled them; ask there.")
    return resumed(config)


def rotated(config: EndpointConfig, secret: str, overlap: int, now: int, *, again: bool = False) -> EndpointConfig:
    """The endpoint with a new secret, sealed or a reference. For `overlap` ms the present one signs too.

    `again` replaces the new secret of a rotation under way; without it, that raises UnderWay.
    """
    present, following = secrets_at(config, now)
    if following is not None and not again:
        raise UnderWay(f"A rotation is under way until {iso_time(config.secret_next_at or 0)}.")
    if overlap == 0:
        return replace(config, secret=secret, secret_next=None, secret_next_at=None)
    return replace(config, secret=present, secret_next=secret, secret_next_at=now + overlap)


def activated(config: EndpointConfig) -> EndpointConfig:
    """The endpoint with its new secret alone. Raises ChangeRefused."""
    if config.secret_next is None:
        raise ChangeRefused(f"No rotation of {config_key(config)} is under way.")
    return replace(config, secret=config.secret_next, secret_next=None, secret_next_at=None)
