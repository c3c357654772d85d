"""Writes commands' changes to the audit log before they are made."""

from __future__ import annotations

import getpass
from typing import Any

from bus.clock import now_ms
from bus.producer import Producer
from bus.settings import BusSettings
from operations.audit import entry_of
from schemas.cloudevents import event_headers
from schemas.codec import Codec

OF_NO_ACCOUNT = ""


async def write_down(
    producer: Producer, settings: BusSettings, codec: Codec, action: str, object: str, account: str, **details: Any
) -> None:
    """Write an acknowledged audit entry on behalf of this machine's user. `details` hold no secrets."""
    actor, now = f"command:{issuer() or 'trackly'}", now_ms()
    entry = entry_of(actor=actor, action=action, object=object, account=account, details=details, at=now)
    topic, headers = settings.catalogue["audit"].name, event_headers(entry, entry.event_id, entry.at)
    await (await producer.send(topic, codec.encode(entry), key=account.encode(), headers=headers))


def issuer() -> str | None:
    """Return the author of a command: this machine's user, or None without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
