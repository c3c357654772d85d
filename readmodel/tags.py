"""Tags of messages: how they are read from a message's arguments, and written into their table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, delete

from database import bulk
from database.bulk import Key, Row, fitting_text
from database.tables import message_tags, messages


def tags_of(arguments: Mapping[str, str], names: Iterable[str]) -> str | None:
    """Return the arguments with these names as JSON; None if there are none. Empty ones do not count."""
    if not arguments:
        return None
    found = {name: fitting_text(value) for name in names if (value := arguments.get(name))}
    return orjson.dumps(found).decode() if found else None


def write_tags(
    connection: Connection, identity: tuple[str, ...], before: Mapping[Key, Row], after: Mapping[Key, Row]
) -> None:
    """Bring the table in line with messages that were written, given their rows by `identity` before and after.

    Nothing is read or written for messages without tags.
    """
    moved: list[Row] = []
    replaced: dict[Key, Row] = {}
    outdated: list[Any] = []
    for key, row in after.items():
        old = before.get(key)
        if old is None or old["tags"] != row["tags"]:
            if row["tags"] is not None:
                replaced[key] = row
            if old is not None and old["tags"] is not None:
                outdated.append(old["id"])
        elif row["tags"] is not None and old["updated_at"] != row["updated_at"]:
            moved.append({"message": row["id"], "updated_at": row["updated_at"]})
    if outdated:
        connection.execute(delete(message_tags).where(message_tags.c.message.in_(outdated)))
    # A new message got its id from the database.
    ids = bulk.find(connection, messages, identity, list(replaced), ("id", *identity))
    given = {tuple(row[name] for name in identity): row["id"] for row in ids}
    bulk.insert(
        connection,
        message_tags,
        [
            {
                "message": given[key],
                "account": row["account"],
                "name": name,
                "value": value,
                "updated_at": row["updated_at"],
            }
            for key, row in replaced.items()
            for name, value in orjson.loads(row["tags"]).items()
        ],
    )
    bulk.update(connection, message_tags, moved)
