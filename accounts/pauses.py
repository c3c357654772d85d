"""Endpoint pauses: records next to the settings that apply only to the settings that failed.

Whoever pauses an endpoint must not write its settings: they may change at the same moment, and an outdated URL and
secret would come back. Instead, a pause names the settings that it judged. Both are on one partition, so every reader
sees them in the same order and decides the same. Any later write of the settings ends the pause.
"""

from __future__ import annotations

import hashlib

import orjson
from msgspec import NODEFAULT
from msgspec.structs import fields, replace

from schemas.records import EndpointConfig, EndpointPause

SUFFIX = "/pause"
"""Suffix of a pause's key after the endpoint's key."""


def settings_id(config: EndpointConfig) -> str:
    """Return an id of settings by content: SHA-256 in hex. Default values are skipped, so that a trackly version with
    more fields computes the same id."""
    said = {}
    for field in fields(config):
        value = getattr(config, field.name)
        default = field.default_factory() if field.default_factory is not NODEFAULT else field.default
        if value != default:
            said[field.name] = value
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def pause_of(config: EndpointConfig, reason: str, now: int) -> EndpointPause:
    """Return a command that pauses an endpoint unless its settings have changed. `now` is in ms."""
    return EndpointPause(
        account=config.account, endpoint=config.id, settings_id=settings_id(config), reason=reason, paused_at=now
    )


def paused(config: EndpointConfig | None, pause: EndpointPause) -> EndpointConfig | None:
    """Return the settings with the pause applied, or None if the pause is for other settings."""
    if config is None or not config.enabled or settings_id(config) != pause.settings_id:
        return None
    return replace(config, enabled=False, paused_reason=pause.reason, paused_at=pause.paused_at)
