"""Conditions for messages with certain tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, Connection, select

from database.tables import message_tags, messages

FEW = 1_000
"""Maximum messages of a rare tag."""


def each_has(tags: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
    """Return conditions to check for each message that other conditions have found."""
    for name, value in tags.items():
        tag = message_tags.alias().c
        # A subquery for one value is never turned into a walk over all messages with that tag.
        yield select(tag.value).where(tag.message == messages.c.id, tag.name == name).scalar_subquery() == value


def rare_first(connection: Connection, account: str, tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return names and values, rare ones first: SQLite cannot know which are rare, nor can PostgreSQL before it has
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
