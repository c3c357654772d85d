"""In which partitions rows of tables belong when there are more partitions than before. Pure.

A table's row lies in the partition of its recipient, or of its click. Where a row does not tell whose it is, it goes
to every partition that its recipient may have now: no row is missed where it is looked for, and one that nobody looks
for does no harm.
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
    """Where a contact's row belongs. Of an erased number only the pseudonym is known, so it stands everywhere."""
    if number.startswith(PREFIX):
        return set(range(partitions))
    return {partition_of(recipient_key(account, number), partitions)}


def of_row(
    table: str, key: bytes, row: bytes | None, before: tuple[int, int], partitions: int, codec: Codec
) -> set[int]:
    """Where a row of a changelog belongs that was in a partition of so many (`before`); None is a row that is gone."""
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
    """Partitions that a key may have of which only the partition among fewer is known."""
    if partitions % count:
        return set(range(partitions))
    return set(range(partition, partitions, count))
