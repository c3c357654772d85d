"""Conditions for messages with certain tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, Connection, select

from database.tables import message_tags, messages

FEW = 1_000
"""Messages of a tag that is not common."""


def each_has(tags: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
    """Return conditions that are checked for each message that others have found."""
    for name, value in tags.items():
        tag = message_tags.alias().c
        # A subquery for one value is never turned into a walk over all messages with that tag.
        yield select(tag.value).where(tag.message == messages.c.id, tag.name == name).scalar_subquery() == value


def rare_first(connection: Connection, account: str, tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return names and values, those of few messages first: SQLite does not know, nor does PostgreSQL before it has
    analyzed the table."""
    found = list(tags.items())
    if len(found) > 1:
        found.sort(key=lambda tag: _is_common(connection, account, *tag))
    return found


def _is_common(connection: Connection, account: str, name: str, value: str) -> bool:
    tag = message_tags.c
    newest = select(tag.message).where(tag.account == account, tag.name == name, tag.value == value)
    newest = newest.order_by(tag.updated_at.desc(), tag.message.desc())
    return connection.execute(newest.offset(FEW).limit(1)).first() is not None
