"""A contact whose row was written over is published again."""

from __future__ import annotations

from typing import Any

from accounts.store import Accounts
from bus.stores import MemoryStore
from bus.tables import Stale, Table
from schemas.codec import Codec
from schemas.records import ContactState
from schemas.registry import FolderRegistry
from streams.contacts import Contacts
from streams.row import ContactRow, to_bytes


class Sent:
    """Takes what a batch would send."""

    def __init__(self) -> None:
        self.records: list[tuple[str, ContactState, bytes]] = []

    def send(self, topic: str, record: ContactState, *, key: bytes, event_id: str, at: int) -> None:
        self.records.append((topic, record, key))


def table(name: str) -> Table:
    nothing: Any = None
    return Table(name, name, nothing, open_store=lambda *_: MemoryStore(), consumer=lambda: None)


CONTACTS = Contacts(Codec(FolderRegistry()), Accounts(), table("contacts"), table("messages"))
ROW = to_bytes(ContactRow(active=False, reason="complaint", since=7))


def republished(stale: Stale) -> list[tuple[str, ContactState, bytes]]:
    sent: Any = Sent()
    CONTACTS.republish(sent, stale)
    records: list[tuple[str, ContactState, bytes]] = sent.records
    return records


def test_its_state_is_sent_as_the_row_says() -> None:
    key = b"acme:+18005551234:+15551230001"
    ((topic, state, sent_key),) = republished(Stale("contacts", 0, key, ROW))
    assert (topic, sent_key) == ("contacts", key)
    assert (state.account, state.list_number, state.phone_number) == ("acme", "+18005551234", "+15551230001")
    assert (state.active, state.reason, state.since) == (False, "complaint", 7)


def test_a_row_without_a_list_is_no_contact() -> None:
    assert republished(Stale("contacts", 0, b"acme::+15551230001", ROW)) == []


def test_messages_are_not_published() -> None:
    assert republished(Stale("messages", 0, b"acme:infobip:m-1", b"")) == []
