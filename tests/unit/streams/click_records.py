"""Links and postbacks of one click, for the tests of the clicks stage. Times are ms."""

from __future__ import annotations

from typing import Any

from schemas.records import AccountConfig, Postback, TrackedLink
from streams.click_row import Arrived

CLICK = "c-1"
WAIT = 60_000
REPEAT = 3_600_000
ACCOUNTS = {
    "acme": AccountConfig(id="acme", name="Acme"),
    "beta": AccountConfig(id="beta", name="Beta"),
    "token": AccountConfig(id="token", name="Token", postbacks={"token": "env:TOKEN"}),
    "fenced": AccountConfig(id="fenced", name="Fenced", trusted_postback_cidrs=("203.0.113.0/24",)),
}


def link(account: str = "acme", *, message_id: str = "m-1", registered_at: int = 1) -> TrackedLink:
    return TrackedLink(
        event_id=f"evt_{account}_{message_id}_{registered_at}",
        account=account,
        click_id=CLICK,
        message_id=message_id,
        provider="infobip",
        provider_message_id="ib-1",
        phone_number="+15550001111",
        list_number="+18005551234",
        url="https://example.com/offer",
        registered_at=registered_at,
    )


def postback(number: int = 1, account: str | None = None, **fields: Any) -> Postback:
    """A postback with an external id of its own, unless `external_id` says otherwise."""
    given = {
        "network": "tune",
        "type": "sale",
        "payout": "2.50",
        "currency": "USD",
        "external_id": f"x-{number}",
        "remote_ip": "203.0.113.7",
        "received_at": 1_000 + number,
        **fields,
    }
    return Postback(event_id=f"evt_postback_{number}", account=account, click_id=CLICK, **given)


def arrived(record: Postback, at: int = 0) -> Arrived:
    return Arrived(record, offset=7, due_at=at + WAIT)
