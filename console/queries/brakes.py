"""Removals that the brakes of an account's lists hold."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from accounts.suppression import ALL_LISTS
from console.queries.rows import At
from console.queries.statistics import MANY
from database.tables import contacts


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldList:
    """The removals that a list's brake holds, as of a moment ago: the number of contacts, in total and by reason.
    `since` is when the first of them would have been removed.
    """

    list_number: str
    contacts: int
    reasons: dict[str, int]
    since: At


def held_lists(connection: Connection, account: str) -> list[HeldList]:
    """Return lists with held contacts, by number; account-wide removals are under `all`."""
    columns = contacts.c
    query = (
        select(columns.list_number, columns.reason, func.count(), func.min(columns.since))
        .where(columns.account == account, columns.held.is_(True))
        .group_by(columns.list_number, columns.reason)
        .order_by(columns.list_number, columns.reason)
    )
    found: dict[str, HeldList] = {}
    for list_number, reason, count, since in connection.execute(query):
        before = found.get(list_number) or HeldList(
            list_number=list_number or ALL_LISTS, contacts=0, reasons={}, since=since
        )
        found[list_number] = HeldList(
            list_number=before.list_number,
            contacts=before.contacts + count,
            reasons={**before.reasons, reason: count},
            since=min(before.since, since),
        )
    return list(found.values())


def held_count(connection: Connection, account: str) -> int:
    """Return the number of held contacts; MANY + 1 if there are more."""
    some = select(contacts.c.id).where(contacts.c.account == account, contacts.c.held.is_(True)).limit(MANY + 1)
    return int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())
