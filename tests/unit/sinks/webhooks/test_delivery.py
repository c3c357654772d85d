"""Where a deferred webhook waits: what keeps its order waits in one partition, and the rest is spread."""

from __future__ import annotations

from bus.memory import ledger
from sinks.webhooks.delivery import Delivery, deferred_record
from sinks.webhooks.retry import Retry, Tier
from sinks.webhooks.window import Admission

PARTITIONS, WEBHOOKS = 12, 50


def partitions_of(endpoint: str = "acme/crm", contact: str | None = None, contacts: int = 1) -> set[int]:
    """Return the partitions of some deferred webhooks, for one contact or taking turns among some."""
    found = set()
    for number in range(WEBHOOKS):
        who = contact if contacts == 1 else f"{contact}{number % contacts}"
        delivery = Delivery(endpoint, f"evt_{number}", "delivery", b"{}", who, Admission(ledger(), number, 2, 1))
        found.add(deferred_record(delivery, Retry(Tier("1m", 60_000), 2), 0, PARTITIONS)[2])
    return found


def test_an_endpoint_s_webhooks_about_one_contact_wait_in_one_partition() -> None:
    assert len(partitions_of(contact="+15551230001")) == 1


def test_those_about_other_contacts_are_spread() -> None:
    assert len(partitions_of(contact="+1555123000", contacts=10)) > 1


def test_one_contact_s_webhooks_to_other_endpoints_are_spread() -> None:
    found = [partitions_of(f"acme/crm{number}", "+15551230001") for number in range(10)]
    assert len(set.union(*found)) > 1


def test_those_about_no_contact_are_spread() -> None:
    assert len(partitions_of()) > 1
