"""Counting a message leaves everything else in the contact's row unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import fields, replace

from streams.message_row import MessageRow, Report
from streams.row import ContactRow, Held, Ruled
from streams.rules import count_message
from streams.rules.outcome import Cause
from streams.rules.receipts import MessageChange
from streams.rules.states import FINAL

KEPT: dict[str, Any] = {
    "counted_from": 1,
    "inbound": ("SM1",),
    "clicks": ("c-1",),
    "orders": ("evt_1",),
    "opted_out": True,
    "stops": ("acme_agent",),
    "except_lists": ("+18005551234",),
    "consented_at": 2,
    "names": ("US.1349",),
    "ruled": Ruled(3, "evt_yes"),
    "held": Held("complaint", 3, "evt", "evt", "infobip", None, None, "acme:+18005551234", "evt_no"),
}


def test_every_field_is_looked_at() -> None:
    others = {"active", "reason", "since", "removed_at", "counted", "removals", "erased_at"}
    assert {each.name for each in fields(ContactRow)} == others | set(KEPT)


@pytest.mark.parametrize("name", KEPT)
def test_a_field_outlives_a_report(name: str) -> None:
    row = replace(ContactRow(since=1, active=False, reason="message", removed_at=3), **{name: KEPT[name]})
    report = Report("delivered", "DELIVERED_TO_HANDSET", "delivered", FINAL, None, 9, None, 9)
    message = MessageRow(since=1, reports=(report,))
    cause = Cause("evt", "acme", "infobip", 9, "evt")
    after = count_message(row, MessageChange("infobip:m-1", MessageRow(since=1), message, cause), (), 3).row
    assert after.counted
    assert getattr(after, name) == KEPT[name]
