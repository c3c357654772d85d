"""Receivers of replies and senders of reports that belong to no list of their account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from accounts.lists import LIST_ID, Lists, is_number
from console.queries.rows import At
from console.queries.statistics import DAY
from database.tables import receivers


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver of replies, or sender of reports, that belongs to no list. `kind`: address, or list_id for a
    provider's own id.

    An opt-out to it removes from every list. `setting` is the line that would add it to a list's settings.
    """

    account: str
    receiver: str
    kind: str
    provider: str
    channel: str | None
    replies: int
    reports: int
    last_at: At
    setting: str


def receivers_of_no_list(
    connection: Connection, account: str | None, since: int, lists_of: Callable[[str], Lists]
) -> list[Receiver]:
    """Return receivers seen since a time, in ms, counted from the beginning of that day (UTC).

    Those with the most replies come first. `lists_of` returns an account's lists. Without an account: of all.
    """
    columns = receivers.c
    told = (columns.account, columns.provider, columns.kind, columns.channel, columns.receiver)
    sums = (func.sum(columns.replies), func.sum(columns.reports), func.max(columns.last_at))
    seen = select(*told, *sums).where(columns.day >= since - since % DAY).group_by(*told)
    if account is not None:
        seen = seen.where(columns.account == account)
    found = [
        Receiver(
            account=owner,
            receiver=receiver,
            kind=kind,
            provider=provider,
            channel=channel or None,
            replies=int(replies),
            reports=int(reports),
            last_at=last_at,
            setting=setting_of(provider, kind, receiver),
        )
        for owner, provider, kind, channel, receiver, replies, reports, last_at in connection.execute(seen)
        if lists_of(owner).named(provider, kind, receiver) is None
    ]
    return sorted(found, key=lambda each: (-each.replies, -each.reports, each.account, each.receiver, each.provider))


def setting_of(provider: str, kind: str, receiver: str) -> str:
    """Return the settings file line that assigns this receiver to a list."""
    value = json.dumps(receiver, ensure_ascii=False)
    if kind == LIST_ID:
        return f"provider_list_ids = {{ {provider} = {value} }}"
    return f"{'numbers' if is_number(receiver) else 'senders'} = [{value}]"
