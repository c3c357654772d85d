"""Changes to settings. Each is in the audit log before it is made, and in effect when it is answered."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from accounts.model import TOPIC_OF, Config, config_key, described
from accounts.secrets import REFERENCES, is_literal, secrets_of
from bus.clock import now_ms
from console.backends.kafka_writer import Entry
from console.changes.acts import Act
from console.errors import changed_meanwhile, not_available, validation_failed
from operations.as_code.file import KEPT_FIELDS
from schemas.ids import random_id

READ_BACK = 3.0
"""Seconds to wait until the console has read back its own write."""

_BESIDE = (*KEPT_FIELDS, "enabled", "secret")
"""Fields changed by their own commands: an edit of the settings neither shows nor replaces them."""


async def write_setting(
    act: Act,
    action: str,
    before: Config | None,
    after: Config | None,
    details: Mapping[str, Any],
) -> None:
    """Write or delete a setting, and wait until it is in effect here. Raises ApiError: 412, 503 (Kafka, or no key).

    `before` was read while holding `Parts.changing`, which is still held. If another process has changed the setting
    anyway, nothing is written. `details` are for the audit log: the changes, without secrets.
    """
    config = after or before
    assert config is not None
    if after is not None:
        _check_sealed(before, after)
    account, object = described(config)
    async with act.audited(action, object, accounts=[account], **details):
        if act.parts.accounts.stored(config) != before:
            raise changed_meanwhile()
        entry = Entry(config_key(config).encode(), after, random_id(), now_ms())
        await act.parts.writer.write(TOPIC_OF[type(config)], [entry])
    try:
        async with asyncio.timeout(READ_BACK):
            while act.parts.accounts.stored(config) != after:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise not_available("The change is stored but not in effect yet. Check again in a moment.") from None


def _check_sealed(before: Config | None, after: Config) -> None:
    """Raise ApiError 503 if a new secret would be written in plain text because there is no key."""
    known = set() if before is None else set(secrets_of(before))
    if any(is_literal(secret) and secret not in known for secret in secrets_of(after)):
        raise not_available(
            "There is no key to encrypt secrets with: create one with `trackly secrets new-key`, and set "
            "TRACKLY_SECRET_KEYS."
        )


def version_of(config: Config, names: Collection[str] = ()) -> str:
    """Return a text that differs if these fields of a setting differ; by default all that an editor sees."""
    names = names or [each for each in config.__struct_fields__ if each not in _BESIDE]
    values = [(name, getattr(config, name)) for name in names]
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def etag_of(config: Config, names: Collection[str] = ()) -> str:
    """Return the same as a header (RFC 9110 section 8.8.3)."""
    return f'"{version_of(config, names)}"'


def check_version(stored: Config | None, expected: str | None, names: Collection[str] = ()) -> None:
    """Raise ApiError 412 unless the stored settings are those the caller has seen; None: any."""
    if expected is None or (stored is not None and expected.strip('"') in ("*", version_of(stored, names))):
        return
    raise changed_meanwhile()


def refuse_references(given: dict[str, Any]) -> None:
    """Raise ApiError 422 if a secret refers to something on our machines, which is none of an account admin's
    business."""
    problems = [
        f"{name}: env: and file: are for settings files; write the value itself"
        for name, value in given.items()
        if isinstance(value, str) and value.startswith(REFERENCES)
    ]
    if problems:
        raise validation_failed(problems)
