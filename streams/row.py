"""The row kept for one contact (`account:list_number:number`), and its bytes in the table.

One row holds everything that decides whether the contact may be texted, so that it is written in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from schemas.ids import contact_key
from schemas.records import ContactState

FORMAT = 2
"""Version of the bytes. It changes with the meaning or the order of the fields. Format 1 is read too: it had
neither `sent` nor `clicks` nor `restored_at`."""


class RowError(ValueError):
    """Bytes that are no row of a known format."""


class MessageState(NamedTuple):
    """What is known of one message. A tuple, because a row holds many and is read for every record.

    `key` is `provider:provider_message_id`, which stays the same whatever is registered about the message.
    `at` orders messages: `occurred_at`, else the time of receipt. Times are milliseconds. `sent` tells whether a
    report that it was sent has come.
    """

    key: str
    status: str
    detail: str
    status_class: str
    rank: int
    occurred_at: int | None
    at: int
    sent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """State of one contact. Times are milliseconds since 1970 UTC.

    `since` is when `active` took its value, for a new contact the time of the first record. Failures at or
    before `counted_from` do not count: START and a restore set it. `removed_at` is the newest time at which
    anything asked for the contact's removal, also while it was out already: an older START or restore that
    arrives late does not undo it. `restored_at` is the newest restore that was applied: it is not applied again, and
    an order to remove that is older is out of date.
    `recent` is sorted by (at, key); `inbound` and `clicks` hold the ids of the last replies and clicks, newest last.
    """

    active: bool = True
    reason: str | None = None
    since: int
    counted_from: int = 0
    removed_at: int = 0
    recent: tuple[MessageState, ...] = ()
    inbound: tuple[str, ...] = ()
    clicks: tuple[str, ...] = ()
    restored_at: int = 0

    def message(self, key: str) -> MessageState | None:
        """State of a message by its key, or None."""
        return next((message for message in self.recent if message.key == key), None)

    @property
    def failures(self) -> int:
        """Messages in a row that failed, counted from the newest back to the last one that was delivered."""
        count = 0
        for message in reversed(self.recent):
            if message.at <= self.counted_from or message.status_class == "delivered":
                break
            if message.status_class == "transient":
                count += 1
        return count

    def state(self, account: str, list_number: str, number: str, event_id: str) -> ContactState:
        """The public state of the contact whose row this is; `event_id` is that of what brought it about."""
        return ContactState(
            contact=contact_key(account, list_number, number),
            account=account,
            list_number=list_number,
            phone_number=number,
            active=self.active,
            failures=self.failures,
            reason=self.reason,
            since=self.since,
            last_event_id=event_id,
        )


def to_bytes(row: ContactRow) -> bytes:
    """A row as compact JSON: a list that begins with the format's version."""
    return orjson.dumps(
        (
            FORMAT,
            row.active,
            row.reason,
            row.since,
            row.counted_from,
            row.removed_at,
            row.recent,
            row.inbound,
            row.clicks,
            row.restored_at,
        ),
        default=tuple,
    )


def from_bytes(data: bytes) -> ContactRow:
    """The row that `to_bytes` wrote. Raises RowError."""
    try:
        version, *values = orjson.loads(data)
        if version == 1:
            values = [*values[:5], [[*message, False] for message in values[5]], *values[6:], (), 0]
        elif version != FORMAT:
            raise RowError(f"row format {version} is unknown, expected {FORMAT}")
        active, reason, since, counted_from, removed_at, recent, inbound, clicks, restored_at = values
        return ContactRow(
            active=active,
            reason=reason,
            since=since,
            counted_from=counted_from,
            removed_at=removed_at,
            recent=tuple(map(MessageState._make, recent)),
            inbound=tuple(inbound),
            clicks=tuple(clicks),
            restored_at=restored_at,
        )
    except RowError:
        raise
    except (IndexError, TypeError, ValueError) as error:
        raise RowError(f"does not read as a contact row: {error}") from error
