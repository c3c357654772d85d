"""Changes that people make to an endpoint: pauses and secret rotation. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from accounts.model import config_key
from outbound.signing import secrets_at
from schemas.cloudevents import iso_time
from schemas.records import EndpointConfig

OPERATOR, CUSTOMER = "operator", "customer"
"""Reasons for a pause made by a person: the account's operator, or the endpoint's own customer."""


class ChangeRefused(ValueError):
    """A change that makes no sense. The text is a sentence for the person who requested it."""


class UnderWay(ChangeRefused):
    """The endpoint's secrets are already being rotated."""


def state_of(config: EndpointConfig) -> str:
    """Return `active`, `paused` (by a person or by trackly), or `disabled` (by its settings)."""
    if config.paused_at is not None:
        return "paused"
    return "active" if config.enabled else "disabled"


def paused(config: EndpointConfig, now: int, reason: str = OPERATOR) -> EndpointConfig:
    """Return the endpoint paused at `now` (ms), or unchanged if it is paused already. Raises ChangeRefused."""
    if config.paused_at is not None:
        return config
    if not config.enabled:
        raise ChangeRefused(f"{config_key(config)} is already disabled by its settings and receives nothing.")
    return replace(config, enabled=False, paused_reason=reason, paused_at=now)


def resumed(config: EndpointConfig) -> EndpointConfig:
    """Return the endpoint without its pause, whatever the reason. Raises ChangeRefused."""
    if config.paused_at is None and not config.enabled:
        raise ChangeRefused(
            f"{config_key(config)} is disabled by its settings: set enabled = true there and apply them."
        )
    return replace(config, enabled=True, paused_reason=None, paused_at=None)


def resumed_by_customer(config: EndpointConfig) -> EndpointConfig:
    """Return the endpoint without its pause, unless an operator made it. Raises ChangeRefused."""
    if config.paused_reason == OPERATOR:
        raise ChangeRefused("Whoever sends you these webhooks has paused them; contact them.")
    if config.paused_at is None and not config.enabled:
        raise ChangeRefused("Whoever sends you these webhooks has disabled them; contact them.")
    return resumed(config)


def rotated(config: EndpointConfig, secret: str, overlap: int, now: int, *, again: bool = False) -> EndpointConfig:
    """Return the endpoint with a new secret, sealed or a reference. For `overlap` ms, the current one signs too.

    `again` replaces the new secret of a rotation in progress; without it, that raises UnderWay.
    """
    present, following = secrets_at(config, now)
    if following is not None and not again:
        raise UnderWay(f"A rotation is in progress until {iso_time(config.secret_next_at or 0)}.")
    if overlap == 0:
        return replace(config, secret=secret, secret_next=None, secret_next_at=None)
    return replace(config, secret=present, secret_next=secret, secret_next_at=now + overlap)


def activated(config: EndpointConfig) -> EndpointConfig:
    """Return the endpoint with only its new secret. Raises ChangeRefused."""
    if config.secret_next is None:
        raise ChangeRefused(f"{config_key(config)} has no rotation in progress.")
    return replace(config, secret=config.secret_next, secret_next=None, secret_next_at=None)
