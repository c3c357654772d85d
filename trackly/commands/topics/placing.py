"""Assigns rows of tables to partitions after the number of partitions has grown. Pure.

A table's row is in the partition of its recipient, or of its click. A row that does not name its recipient goes to
every partition that the recipient may have now: every lookup finds its row, and the extra copies do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable

from bus.producer import partition_of
from bus.tables.versions import unpack
from schemas.codec import Codec
from schemas.ids import recipient_key
from schemas.pseudonyms import PREFIX
from streams import message_row

TABLES = ("table_contacts", "table_messages", "table_clicks", "table_brakes")
"""Changelogs of tables (catalogue short names)."""

_CLICK = b"click:"


def of_contact(account: str, number: str, partitions: int) -> set[int]:
    """Return the partitions of a contact's row. Of an erased number only the pseudonym is known, so its row goes
    everywhere."""
    if number.startswith(PREFIX):
        return set(range(partitions))
    return {partition_of(recipient_key(account, number), partitions)}


def of_row(
    table: str, key: bytes, row: bytes | None, before: tuple[int, int], partitions: int, codec: Codec
) -> set[int]:
    """Return the partitions of a changelog's row, which was in one of `before` partitions; a None row is a deletion."""
    if table == "table_contacts":
        account, _, rest = key.decode().partition(":")
        return of_contact(account, rest.partition(":")[2], partitions)
    if table == "table_brakes":
        return set(range(partitions))  # each has been told the same
    if table == "table_clicks":
        return {partition_of(key.removeprefix(_CLICK), partitions)}
    owners: Iterable[bytes] = () if row is None else message_row.owners_of(unpack(row)[1], codec)
    return {partition_of(owner, partitions) for owner in owners} or _possible(*before, partitions)


def _possible(partition: int, count: int, partitions: int) -> set[int]:
    """Return the partitions that a key may have now, given its partition among fewer."""
    if partitions % count:
        return set(range(partitions))
    return set(range(partition, partitions, count))
