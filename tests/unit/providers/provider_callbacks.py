"""Callbacks as stored by ingest, for the tests of the providers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson

from providers.infobip import Infobip
from schemas.records import RawCallback, Receipt

RECEIVED_AT = 1_800_000_000_000
FORM = "application/x-www-form-urlencoded"


def callback(
    provider: str,
    body: bytes,
    *,
    content_type: str | None = None,
    method: str = "POST",
    query: str = "account=acme",
) -> RawCallback:
    return RawCallback(
        event_id="evt_callback",
        provider=provider,
        account="acme",
        method=method,
        path=f"/api/webhook-feedbacks/{provider}",
        query=query,
        headers={},
        content_type=content_type,
        body=body,
        remote_ip="203.0.113.7",
        received_at=RECEIVED_AT,
    )


def infobip(*items: object) -> RawCallback:
    """Return a batch from Infobip."""
    return callback("infobip", orjson.dumps({"results": items}), content_type="application/json")


def twilio(fields: dict[str, str] | list[tuple[str, str]]) -> RawCallback:
    """Return a form from Twilio."""
    return callback("twilio", urlencode(fields).encode(), content_type=FORM)


def infobip_report(status: dict[str, Any], error: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return an Infobip item with these codes, and nothing else that matters."""
    item = {"messageId": "m-1", "to": "385911234567", "status": status, **fields}
    return item if error is None else {**item, "error": error}


def infobip_receipt(status: dict[str, Any], error: dict[str, Any] | None = None, **fields: Any) -> Receipt:
    """Return the record of such an item."""
    (item,) = Infobip().read(infobip(infobip_report(status, error, **fields)))
    assert isinstance(item, Receipt)
    return item


def outcome(receipt: Receipt) -> tuple[str, str, str, bool]:
    return receipt.status, receipt.status_detail, receipt.status_class, receipt.final
