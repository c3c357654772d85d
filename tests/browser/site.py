"""The console over HTTP, with a signed-in admin of every account and rows on every page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace
from sqlalchemy import BigInteger, Boolean, LargeBinary, Table

from accounts.secrets import new_key
from console.principals import EVERY_ACCOUNT, Role
from database.tables import READ_MODEL, answers, attempts, freshness, key_uses
from operations.replays import Order
from tests.http_servers import served
from tests.unit.console.console_parts import LIST, NUMBER, Api
from tests.unit.console.rows import NOW

HOSTILE = "<b>\"'&amp; hostile</b> " + "long" * 20

ROWS = 3

_KNOWN: dict[str, Any] = {
    "account": "acme",
    "provider": "infobip",
    "provider_message_id": "ib-1",
    "message_id": "m-1",
    "event": "delivery",
    "event_id": "evt_1",
    "endpoint": "crm",
    "number": NUMBER,
    "list_number": LIST,
    "status": "undeliverable",
    "status_detail": "REJECTED_ABSENT_SUBSCRIBER",
    "details": "{}",
    "tags": json.dumps({"tag": HOSTILE}),
    "body": '{"event":"delivery"}',
    "place": "sms.events.delivery/0/1",
    "source": "sms.raw/0/1",
    "outcome": "5xx",
    "error_class": "http_status",
    "hour": NOW - NOW % 3_600_000,
    "minute": NOW - NOW % 60_000,
    "kind": "reply",
    "change": "removed",
    "reason": "message",
}


@contextmanager
def site() -> Iterator[str]:
    """Yield the base URL of the console."""
    api = Api(evidence_key=new_key())
    api.written.replays.put(replace(Order("acme/crm", "dead").command("user:ann@example.com", NOW), replay_id="rpl_1"))
    for table in READ_MODEL:
        for nth in range(ROWS):
            if nth == 0 or ("id" in table.c and table is not freshness):
                api.put(table, row(table, nth))
    for key in list(api.keys.by_id.values()):
        api.keys.put(replace(key, expires_at=NOW + 86_400_000))
        api.put(key_uses, {"key_id": key.id, "last_used_at": NOW})
    api.sign_in(Role.ADMIN, EVERY_ACCOUNT)
    with served(api._as_user) as url:
        yield url


def row(table: Table, nth: int = 0) -> dict[str, Any]:
    """Return a row of any table of the read model; columns without a known name contain hostile text."""
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "id":
            values["id"] = nth + 1
        elif isinstance(column.type, BigInteger):
            values[column.name] = _KNOWN.get(
                column.name, NOW if column.name.endswith("_at") or column.name == "at" else 1
            )
        elif isinstance(column.type, Boolean):
            values[column.name] = nth % 2 == 0
        elif isinstance(column.type, LargeBinary):
            values[column.name] = b'{"event":"delivery"}'
        else:
            values[column.name] = _KNOWN.get(column.name, HOSTILE)
    if table is attempts:
        values["status"] = 503  # a number here, a message's status elsewhere
    if table is answers:
        values["body"] = '{"may_be_texted":true,"rule":null,"until":null}'
    unique = {"event_id", "provider_message_id", "contact", "place"}
    return values | {name: f"{values[name]}-{nth}" for name in unique & values.keys() if nth}
