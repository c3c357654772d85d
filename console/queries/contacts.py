"""Contacts of which something is recorded, and what happened to one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row, select

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page
from console.queries.rows import PHONE, TEXT, At, maker
from database.tables import contact_changes, contacts, replies
from schemas.ids import derived_id

MOST_CHANGES = 200
"""Changes of a contact that its page shows, the newest."""


class ContactsFilter(ListFilter):
    """Which contacts."""

    personal = ("number",)

    active: bool | None = Field(default=None, description="Whether it may be texted.")
    reason: str | None = Field(default=None, max_length=40, examples=["complaint"])
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, examples=["+15551230001"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedContact:
    """A contact as the read model has it, a moment behind. What a sender goes by is `/api/contacts/check`."""

    number: str = field(metadata=PHONE)
    list_number: str
    active: bool
    failures: int
    reason: str | None
    since: At


_contact = maker(ListedContact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to a contact, or was ordered: `removed`, `restored`, `remove`, `restore`.

    `evidence` is the text of the reply that led to it, `source` the place of its raw callback.
    """

    at: At
    change: str
    list_number: str | None
    reason: str | None
    keyword: str | None = field(metadata=TEXT)
    issued_by: str | None
    event_id: str
    evidence: str | None = field(default=None, metadata=TEXT)
    source: str | None = None


def listed_contacts(connection: Connection, account: str, wanted: ContactsFilter) -> Page[ListedContact]:
    """A page of contacts, the last changed first. Raises BadCursor."""
    return listed(connection, account, wanted, contacts, "since", _contact)


def changes(connection: Connection, account: str, number: str) -> tuple[Change, ...]:
    """What happened to a number on all lists of an account, the newest first."""
    at, identity = contact_changes.c.at, contact_changes.c.id
    query = (
        select(contact_changes)
        .where(contact_changes.c.account == account, contact_changes.c.number == number)
        .order_by(at.desc(), identity.desc())
        .limit(MOST_CHANGES)
    )
    rows = connection.execute(query).all()
    said = _replies(connection, account, number, {row.list_number for row in rows if row.list_number})
    return tuple(_change(row, said) for row in rows)


def _change(row: Row[Any], said: Mapping[str, Row[Any]]) -> Change:
    reply = said.get(row.event_id)
    return Change(
        at=row.at,
        change=row.change,
        list_number=row.list_number,
        reason=row.reason,
        keyword=row.keyword,
        issued_by=row.issued_by,
        event_id=row.event_id,
        evidence=None if reply is None else reply.text,
        source=None if reply is None else reply.source,
    )


def _replies(connection: Connection, account: str, number: str, lists: Collection[str]) -> dict[str, Row[Any]]:
    """Replies of a number, by the id of the removal that each would have led to."""
    query = (
        select(replies)
        .where(replies.c.account == account, replies.c.number == number)
        .order_by(replies.c.received_at.desc(), replies.c.id.desc())
        .limit(MOST_CHANGES)
    )
    found: dict[str, Row[Any]] = {}
    for row in connection.execute(query):
        found[derived_id(row.event_id, "unsubscribe")] = row
        # An opt-out from all lists is applied to each of them.
        for list_number in lists:
            found[derived_id(row.event_id, "unsubscribe", list_number)] = row
    return found
