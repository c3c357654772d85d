"""A contact's row (`account:list_number:number`), and its bytes in the table.

One row holds everything that decides whether the contact may be texted, so that it is written atomically.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from msgspec import Struct

from accounts.suppression import ACCOUNT_SCOPE, LIST_SCOPE
from bus.tables.store import StoreFailed
from schemas.ids import contact_key
from schemas.numbering import canonical
from schemas.pseudonyms import PREFIX
from schemas.records import ContactState

FORMAT = 7
"""Version of the bytes. It changes with the meaning or order of the fields. Formats 2 to 6 can be read: 2 kept the
states of a contact's last messages, which are in their own rows now, and no `orders`; 2 and 3 had neither `opted_out`
nor what follows it, 4 neither `consented_at` nor `names`, 5 no `names`; none had what the brake counts and holds."""

STEP_MS = 300_000
"""Removals by rules are counted in steps of five minutes."""

RULED, HELD = b"ruled:", b"held:"
"""Prefixes of the labels of removals by rules, and of held contacts."""

ERASED = b"erased"
"""Label of rows stored under a pseudonym."""

_PSEUDONYM = PREFIX.encode()


class RowError(StoreFailed):
    """The table holds bytes that are not a row of a known format: it is damaged, or from a newer version."""


class Counted(NamedTuple):
    """A message considered by the failure count. A tuple, because a row holds many and is read for every record.

    `key` is `provider:provider_message_id`, which stays the same whatever is registered. `at` orders messages (ms).
    `failed`: it failed; otherwise it was delivered, which ends the run.
    """

    key: str
    at: int
    failed: bool


class Ruled(NamedTuple):
    """A rule removed the contact: when the report was received (ms), and in which era of its list's brake."""

    at: int
    era: str


class Held(NamedTuple):
    """A removal by a rule that waits for a person's decision: its reason, its time (ms), and its cause.

    `event_id`, `told`, `provider`, `message_id`, and `received_at` are those of the cause. `place` is the list whose
    brake holds it, `account:list_number`, and `after` the id of the previous decision about that brake.
    """

    reason: str
    at: int
    event_id: str
    told: str
    provider: str
    message_id: str | None
    received_at: int | None
    place: str
    after: str


class ContactRow(Struct, frozen=True, gc=False, kw_only=True):
    """State of one contact. Times are milliseconds since 1970 UTC.

    `active`: it was not removed. It may be texted unless it is held. `ruled`: the rule's removal that the brake counts;
    None: no rule removed it, or a person confirmed. `held`: a removal held by the brake.

    `since` is when `active` last changed or, for a new contact, the time of the first record. Failures at or before
    `counted_from`, which START and a restore set, do not count. `removed_at` is the newest time at which anything asked
    for the contact's removal, even while it was already removed: an older START or restore that arrives late does not
    undo it. `counted` holds the newest messages that failed or were delivered, sorted by (at, key). It omits open
    messages, and those whose outcome says nothing about the contact. `removals` holds the messages that last removed
    the contact; `inbound`, `clicks`, and `orders` hold the ids of the last replies, clicks, and commands, newest last.
    `erased_at` is when the number was erased; such a row is stored under its pseudonym, on no list. `opted_out`: the
    contact asked to be left alone and has not come back since. `consented_at` is when it last consented, by START or
    through an operator; 0 if unknown.

    The account-wide row of a number, which is combined with every list's, has the same form, and counts no messages.
    `stops` are the receivers of its opt-outs that no START has undone; `except_lists` the lists to which the contact
    has come back; `names` the person's other names: for a number the channels' ids, for an id the number.
    """

    active: bool = True
    ruled: Ruled | None = None
    reason: str | None = None
    since: int
    counted_from: int = 0
    removed_at: int = 0
    counted: tuple[Counted, ...] = ()
    inbound: tuple[str, ...] = ()
    clicks: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()
    erased_at: int = 0
    opted_out: bool = False
    stops: tuple[str, ...] = ()
    except_lists: tuple[str, ...] = ()
    consented_at: int = 0
    names: tuple[str, ...] = ()
    held: Held | None = None

    @property
    def may_be_texted(self) -> bool:
        """Whether the contact is neither removed nor held."""
        return self.active and self.held is None

    @property
    def failures(self) -> int:
        """Number of failed messages since the last delivered one."""
        count = 0
        for message in reversed(self.counted):
            if not message.failed or message.at <= self.counted_from:
                break
            count += 1
        return count

    @property
    def known_as(self) -> str | None:
        """The number of the person known in this row by a channel's id; None if it is unknown."""
        return self.names[0] if self.names and self.names[0].startswith("+") else None

    def state(self, account: str, list_number: str, number: str, event_id: str) -> ContactState:
        """Return the contact's public state; `event_id` is that of its cause."""
        return ContactState(
            contact=contact_key(account, list_number, number),
            account=account,
            list_number=list_number,
            phone_number=canonical(number),
            active=self.may_be_texted,
            failures=self.failures,
            reason=self.reason if self.held is None else self.held.reason,
            since=self.since if self.held is None else self.held.at,
            last_event_id=event_id,
            scope=LIST_SCOPE if list_number else ACCOUNT_SCOPE,
            except_lists=self.except_lists,
            known_as=self.known_as,
            held=self.held is not None,
        )


def to_bytes(row: ContactRow) -> bytes:
    """Return a row as compact JSON: a list that begins with the format version and the counted data, and ends with the
    hold, so that the table's indexes need not read the rest (`labels_of`, `holders_of`)."""
    return orjson.dumps(
        (
            FORMAT,
            row.active,
            row.ruled,
            row.reason,
            row.since,
            row.counted_from,
            row.removed_at,
            row.counted,
            row.inbound,
            row.clicks,
            row.orders,
            row.removals,
            row.erased_at,
            row.opted_out,
            row.stops,
            row.except_lists,
            row.consented_at,
            row.names,
            row.held,
        ),
        default=tuple,
    )


_ACTIVE, _REMOVED, _NOT_HELD = b"true,", b"false,", b",null]"
_LISTED = b"[%d," % FORMAT


def labels_of(key: bytes, value: bytes) -> Sequence[bytes]:
    """Return the labels under which a table row is counted: contacts of a list, removals by rules for each time step
    and era of its brake, contacts held since a decision. Erased rows belong to no list, and have one label of their
    own."""
    place, _, number = key.rpartition(b":")
    if number.startswith(_PSEUDONYM):
        return (ERASED,)
    said = value[3:]
    labels = [size_label(place)] if said.startswith(_ACTIVE) else []
    if value.startswith(_LISTED):
        ruled = said.removeprefix(_ACTIVE).removeprefix(_REMOVED)
        if ruled.startswith(b"["):
            at, era = orjson.loads(ruled[: ruled.index(b"]") + 1])
            labels.append(ruled_label(place, era, at // STEP_MS))
        labels += map(_held_label, holders_of(value))
    return labels


def size_label(place: bytes) -> bytes:
    """Return the label of a list's (`account:list_number`) contacts that were not removed."""
    return b"size:" + place


def ruled_label(place: bytes, era: str, step: int) -> bytes:
    """Return the label of contacts that rules removed in a time step."""
    return b"%s%s:%s:%d" % (RULED, place, era.encode(), step)


def held_label(place: bytes, after: str) -> bytes:
    """Return the label of contacts held by a brake since a decision."""
    return _held_label(holder(place, after))


def _held_label(held_by: bytes) -> bytes:
    return HELD + held_by


def holder(place: bytes, after: str) -> bytes:
    """Return the key by which a held contact's row is found: its list, and the previous decision."""
    return b"%s:%s" % (place, after.encode())


def holders_of(value: bytes) -> Collection[bytes]:
    """Return what holds a row's contact. Called on every write, so for most rows it only looks at the end."""
    if value.endswith(_NOT_HELD) or not value.startswith(_LISTED):
        return ()
    held = from_bytes(value).held
    return () if held is None else (holder(held.place.encode(), held.after),)


def step_of(label: bytes) -> int:
    """Return the time step in a label of removals by rules."""
    return int(label.rpartition(b":")[2])


def from_bytes(data: bytes) -> ContactRow:
    """Read a row written by `to_bytes`. Raises RowError."""
    try:
        version, *values = orjson.loads(data)
        if version == 2:
            *first, recent, inbound, clicks, _ = values
            version, values = 3, [*first, list(_counted(recent)), inbound, clicks, (), (), 0]
        if version == 3:
            # Only an opt-out removes for the reason `message`.
            version, values = 4, [*values, values[1] == "message", (), ()]
        if version == 4:
            # START and a restore set `counted_from`.
            version, values = 5, [*values, values[3]]
        if version == 5:
            version, values = 6, [*values, ()]
        if version == 6:
            version, values = FORMAT, [values[0], None, *values[1:], None]
        if version != FORMAT:
            raise RowError(f"row format {version} is unknown, expected {FORMAT}")
        active, ruled, reason, since, counted_from, removed_at, counted, inbound, clicks, orders, *rest = values
        removals, erased_at, opted_out, stops, except_lists, consented_at, names, held = rest
        return ContactRow(
            active=active,
            ruled=None if ruled is None else Ruled(*ruled),
            reason=reason,
            since=since,
            counted_from=counted_from,
            removed_at=removed_at,
            counted=tuple(map(Counted._make, counted)),
            inbound=tuple(inbound),
            clicks=tuple(clicks),
            orders=tuple(orders),
            removals=tuple(removals),
            erased_at=erased_at,
            opted_out=opted_out,
            stops=tuple(stops),
            except_lists=tuple(except_lists),
            consented_at=consented_at,
            names=tuple(names),
            held=None if held is None else Held(*held),
        )
    except RowError:
        raise
    except (IndexError, TypeError, ValueError) as error:
        raise RowError(f"cannot be read as a contact row: {error}") from error


def _counted(states: Iterable[list[Any]]) -> Iterable[Counted]:
    """Return the countable messages of a format 2 row: key, status, detail, class, rank, occurred_at, at, and more."""
    for key, _, _, status_class, _, _, at, *_ in states:
        if status_class in ("transient", "delivered"):
            yield Counted(key, at, status_class == "transient")
