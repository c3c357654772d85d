"""Audit log entries, as the console and the command line write them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from schemas.ids import random_id
from schemas.records import AuditEntry

DONE, REFUSED, FAILED = "done", "refused", "failed"


def entry_of(
    *,
    actor: str,
    action: str,
    object: str,
    account: str,
    details: Mapping[str, Any],
    at: int,
    outcome: str = DONE,
    remote_ip: str = "",
    request_id: str = "",
) -> AuditEntry:
    """Return a new entry. `details` must hold no secrets; `at` is in ms."""
    return AuditEntry(
        event_id=random_id(),
        account=account,
        actor=actor,
        action=action,
        object=object,
        details=orjson.dumps(dict(details), default=str, option=orjson.OPT_SORT_KEYS).decode(),
        remote_ip=remote_ip,
        request_id=request_id,
        outcome=outcome,
        at=at,
    )
