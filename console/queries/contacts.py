"""Contacts with a record, and one contact's history."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, Row, select

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page, RowSource
from console.queries.rows import PHONE, TEXT, At, maker
from database.tables import contact_changes, contacts, messages, receipts, replies
from schemas.ids import derived_id
from schemas.numbering import spellings
from schemas.records import REMOVAL_REASONS

MOST_MESSAGES = 50
"""Latest messages to a contact whose reports are searched for the cause of a removal."""

MOST_CHANGES = 200
"""Changes shown on a contact's page, newest first."""


class ContactsFilter(ListFilter):
    """Which contacts."""

    personal = ("number",)
    known = MappingProxyType({"reason": REMOVAL_REASONS})

    active: bool | None = Field(default=None, description="Whether it may be texted.")
    held: bool | None = Field(default=None, description="Whether its removal waits for an admin's decision.")
    reason: str | None = Field(default=None, max_length=40, examples=["complaint"])
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, examples=["+15551230001"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedContact:
    """A contact, as of a moment ago. Senders must use `/api/contacts/check` instead."""

    number: str = field(metadata=PHONE)
    list_number: str
    active: bool
    held: bool
    failures: int
    reason: str | None
    since: At


_contact = maker(ListedContact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a contact (`removed`, `restored`), or a command (`remove`, `restore`).

    `evidence` quotes the reply or report that led to it, and `source` is the place of its raw callback.
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


class Cause(NamedTuple):
    """The cause of a change."""

    evidence: str | None
    source: str | None


NOTHING = Cause(None, None)


def listed_contacts(connection: Connection, account: str, wanted: ContactsFilter) -> Page[ListedContact]:
    """Return a page of contacts, last changed first. Raises BadCursor."""
    return listed(connection, account, wanted, RowSource(contacts, "since", _contact))


def changes(connection: Connection, account: str, number: str) -> tuple[Change, ...]:
    """Return a number's history on all lists of an account, newest first."""
    at, identity = contact_changes.c.at, contact_changes.c.id
    query = (
        select(contact_changes)
        .where(contact_changes.c.account == account, contact_changes.c.number.in_(spellings(number)))
        .order_by(at.desc(), identity.desc())
        .limit(MOST_CHANGES)
    )
    rows = connection.execute(query).all()
    lists = {row.list_number for row in rows if row.list_number}
    causes = _replies(connection, account, number, lists)
    if any(row.change == "removed" and row.event_id not in causes for row in rows):
        causes = _reports(connection, account, number, lists) | causes
    return tuple(_change(row, causes.get(row.event_id, NOTHING)) for row in rows)


def _change(row: Row[Any], cause: Cause) -> Change:
    return Change(
        at=row.at,
        change=row.change,
        list_number=row.list_number,
        reason=row.reason,
        keyword=row.keyword,
        issued_by=row.issued_by,
        event_id=row.event_id,
        evidence=cause.evidence,
        source=cause.source,
    )


def removals_by(event_id: str, lists: Collection[str]) -> Iterator[str]:
    """Return the ids of removals that a report or reply would have caused: on its list, or on each of several."""
    for event in ("unsubscribe", "removed"):
        yield derived_id(event_id, event)
        yield from (derived_id(event_id, event, each) for each in lists)


def _reports(connection: Connection, account: str, number: str, lists: Collection[str]) -> dict[str, Cause]:
    """Return the reports of the last messages to a number, by the id of the removal that each would have caused."""
    query = (
        select(messages.c.provider, messages.c.provider_message_id)
        .where(messages.c.account == account, messages.c.number.in_(spellings(number)))
        .order_by(messages.c.updated_at.desc(), messages.c.id.desc())
        .limit(MOST_MESSAGES)
    )
    ids: dict[str, list[str]] = {}
    for provider, provider_message_id in connection.execute(query):
        ids.setdefault(provider, []).append(provider_message_id)
    found: dict[str, Cause] = {}
    for provider, some in ids.items():
        table = receipts.c
        mine = (table.account == account, table.provider == provider, table.provider_message_id.in_(some))
        for row in connection.execute(
            select(receipts).where(*mine).order_by(table.received_at.desc()).limit(MOST_CHANGES)
        ):
            said = " ".join(filter(None, (row.provider_status, row.provider_code, row.provider_text)))
            cause = Cause(f"{row.status_detail}; {provider}: {said}", row.source)
            found |= dict.fromkeys(removals_by(row.event_id, lists), cause)
    return found


def _replies(connection: Connection, account: str, number: str, lists: Collection[str]) -> dict[str, Cause]:
    """Return a number's replies, by the id of the removal that each would have caused."""
    query = (
        select(replies)
        .where(replies.c.account == account, replies.c.number.in_(spellings(number)))
        .order_by(replies.c.received_at.desc(), replies.c.id.desc())
        .limit(MOST_CHANGES)
    )
    found: dict[str, Cause] = {}
    for row in connection.execute(query):
        cause = Cause(row.text, row.source)
        found |= dict.fromkeys(removals_by(row.event_id, lists), cause)
    return found
