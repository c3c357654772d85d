"""What commands change, in the audit log before it is changed."""

from __future__ import annotations

import getpass
import time
from typing import Any

import orjson

from bus.producer import Producer
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import random_id
from schemas.records import AuditEntry

OF_NO_ACCOUNT = ""


async def write_down(
    producer: Producer, settings: BusSettings, codec: Codec, action: str, object: str, account: str, **details: Any
) -> None:
    """Write an entry of the audit log, acknowledged: the user of this machine does this. `details` hold no secrets."""
    entry = AuditEntry(
        event_id=random_id(),
        account=account,
        actor=f"command:{issuer() or 'trackly'}",
        action=action,
        object=object,
        details=orjson.dumps(details, default=str, option=orjson.OPT_SORT_KEYS).decode(),
        remote_ip="",
        request_id="",
        outcome="done",
        at=time.time_ns() // 1_000_000,
    )
    topic, headers = settings.catalogue["audit"].name, event_headers(entry, entry.event_id, entry.at)
    await (await producer.send(topic, codec.encode(entry), key=account.encode(), headers=headers))


def issuer() -> str | None:
    """Who gives an order: the user of this machine, or None where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
