"""Pauses of endpoints: records of their own beside the settings, which hold for the settings that failed and no others.

Whoever pauses an endpoint does not write its settings: they may be changed in the same moment, and an older URL and
secret would come back. A pause names the settings that it judged. Both lie on one partition, so every reader sees them
in the same order and decides the same: settings that are written later, whatever they say, end a pause.
"""

from __future__ import annotations

import hashlib
from dataclasses import MISSING, fields, replace

import orjson

from schemas.records import EndpointConfig, EndpointPause

SUFFIX = "/pause"
"""What the key of a pause has more than that of the endpoint."""


def settings_id(config: EndpointConfig) -> str:
    """Names settings by what they say: SHA-256, hex. Fields at their defaults do not count, so that a version of
    trackly with more fields gives the same.
    """
    said = {}
    for field in fields(config):
        value = getattr(config, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value != default:
            said[field.name] = value
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def pause_of(config: EndpointConfig, reason: str, now: int) -> EndpointPause:
    """The order to pause an endpoint unless its settings have changed. `now` is in ms."""
    return EndpointPause(
        account=config.account, endpoint=config.id, settings_id=settings_id(config), reason=reason, paused_at=now
    )


def paused(config: EndpointConfig | None, pause: EndpointPause) -> EndpointConfig | None:
    """The settings with the pause, or None where it is not theirs."""
    if config is None or not config.enabled or settings_id(config) != pause.settings_id:
        return None
    return replace(config, enabled=False, paused_reason=pause.reason, paused_at=pause.paused_at)
