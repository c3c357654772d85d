"""One person with two names: a phone number, and a channel's id for the person, as WhatsApp has for people who hide
their number.

Each name has rows in a partition of its own, so they inform each other by commands:

    join     number -> id    a callback named both: records under the id belong to the number from now on
    follow   id -> number    a removal known under the id alone: remove the person
    settle   number -> id    that is done, so the id's rows no longer say it
    pass_on  id -> number    a record that names the id alone, to be processed as the number's

Until `settle`, both names are removed; at no time is neither. Each command is sent before the row that remembers it is
written, and is idempotent. A person has one number per id: WhatsApp gives a new id to people who change their number
(https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids).
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from schemas.codec import Codec, CodecError
from schemas.ids import derived_id
from schemas.numbering import canonical
from schemas.records import FOLLOW, JOIN, PASS_ON, SETTLE, ContactCommand, InboundMessage, LinkClick, Receipt
from streams.recipient import Recipient
from streams.row import ContactRow
from streams.rules import EVERYWHERE, ContactChange
from streams.rules.commands import MAX_ORDERS, is_new, ordered_by
from streams.rules.everywhere import WISHES, stopped
from streams.rules.outcome import OPT_OUT, removed, restored

MAX_NAMES = 8
"""Ids kept in a number's row. One more replaces the oldest, which is joined again when it reappears."""

Named = Receipt | InboundMessage | LinkClick


def is_id(name: str) -> bool:
    """Whether a name is a channel's id and not a number."""
    return not name.startswith("+")


def name_of(record: Named | ContactCommand) -> str | None:
    """Return the name under which a record is kept: the number, or else the channel's id; None if it has neither."""
    match record:
        case Receipt():
            return record.to or record.user_id
        case InboundMessage():
            # Instead of a number, there may be an id with its channel as prefix.
            return record.from_
        case LinkClick():
            return record.to
        case ContactCommand():
            return record.phone_number


def learn(recipient: Recipient, record: Receipt | InboundMessage) -> None:
    """Note that a record names both its recipient's number and an id; the first time, inform the id's rows."""
    number, other = recipient.number, None if record.user_id is None else canonical(record.user_id)
    if number is None or is_id(number) or other is None or recipient.is_erased or not is_id(other):
        return
    whole = recipient.contact(None)
    if whole is not None and other in whole.names:
        return
    order = ContactCommand(
        event_id=derived_id(record.account, other, canonical(number), JOIN),
        command=JOIN,
        account=record.account,
        list_number="",
        phone_number=other,
        issued_at=record.received_at,
        other_name=canonical(number),
    )
    recipient.order(order)
    recipient.update(None, partial(_named, name=other, at=record.received_at))


def join(recipient: Recipient, order: ContactCommand) -> None:
    """Tell an id's rows the number of the same person, and the number's rows what they say."""
    if order.other_name is None:
        raise ValueError("a join requires other_name")
    follow_all(recipient, order.other_name)
    recipient.update(None, partial(_known_as, order=order))
    recipient.publish(None, derived_id(order.event_id, "known"))


def follow_all(recipient: Recipient, number: str) -> None:
    """Remove the other name for the same reason as this one."""
    for listed in (*sorted(recipient.lists), None):
        follow_on(recipient, listed, number)


def follow_on(recipient: Recipient, listed: str | None, other: str) -> None:
    """The same for one list or, without it, for the whole account."""
    row = recipient.contact(listed)
    if row is None or row.may_be_texted:
        return
    # A hold under one name cannot be decided under the other: it counts as a removal.
    reason = row.reason if row.held is None else row.held.reason
    parts = recipient.account, recipient.number or "", listed or "", other, reason or "", row.removed_at
    order = ContactCommand(
        event_id=derived_id(*parts, FOLLOW),
        command=FOLLOW,
        account=recipient.account,
        list_number=listed or "",
        phone_number=other,
        issued_at=row.removed_at,
        reason=reason,
        other_name=canonical(recipient.number or ""),
        receivers=row.stops,
    )
    recipient.order(order)


def follow(recipient: Recipient, order: ContactCommand) -> None:
    """Remove the person under this name as under the other, which then no longer needs to say so."""
    listed, is_of_id = order.list_number or None, is_id(recipient.number or "")
    # An id is removed this way before it is erased: no more events are sent for it.
    recipient.update(listed, partial(_followed, order=order, is_told=not is_of_id))
    if order.other_name is not None and not is_of_id:
        recipient.order(
            replace(
                order,
                event_id=derived_id(order.event_id, SETTLE),
                command=SETTLE,
                phone_number=order.other_name,
                other_name=order.phone_number,
                receivers=(),
            )
        )


def settle(recipient: Recipient, order: ContactCommand) -> None:
    """Let an id's rows drop what the number's rows say from now on."""
    listed = order.list_number or None
    row = recipient.contact(listed)
    # A later removal of the id is on its way to the number, too.
    if row is None or row.may_be_texted or row.removed_at != order.issued_at:
        return
    recipient.update(listed, lambda known: ContactChange(restored(known or row, order.issued_at)))
    for each in (listed,) if listed is not None else (*sorted(recipient.lists), None):
        recipient.publish(each, derived_id(order.event_id, "settled"))


def pass_on(recipient: Recipient, record: Named | ContactCommand, codec: Codec) -> bool:
    """Pass a record about an id on to the person's number, if it is known. Otherwise do nothing."""
    number = recipient.goes_by
    if number is None:
        return False
    if isinstance(record, ContactCommand):
        if record.other_name is not None:
            return False
        order = replace(record, event_id=derived_id(record.event_id, PASS_ON), phone_number=number)
    else:
        order = ContactCommand(
            event_id=derived_id(record.event_id, PASS_ON),
            command=PASS_ON,
            account=recipient.account,
            list_number="",
            phone_number=number,
            issued_at=record.received_at,
            other_name=canonical(recipient.number or ""),
            record=codec.encode(record),
        )
    recipient.order(order)
    return True


def passed_on(order: ContactCommand, codec: Codec) -> Named:
    """Return a record passed on by an id's partition as one about the number. Raises CodecError."""
    record = codec.decode(order.record or b"")
    match record:
        case InboundMessage():
            return replace(record, from_=order.phone_number)
        case Receipt() | LinkClick():
            return replace(record, to=order.phone_number)
        case _:
            raise CodecError(f"cannot pass on a {type(record).__name__}")


def erase_others(recipient: Recipient, order: ContactCommand) -> None:
    """Erase a number's ids too. If the number was removed, they stay removed too."""
    whole = recipient.contact(None)
    for other in whole.names if whole is not None and recipient.number and not is_id(recipient.number) else ():
        follow_on(recipient, order.list_number or None, other)
        erased = replace(order, phone_number=other, other_name=canonical(recipient.number or ""))
        recipient.order(replace(erased, event_id=derived_id(order.event_id, other)))


def _known_as(row: ContactRow | None, order: ContactCommand) -> ContactChange:
    return ContactChange(replace(row or ContactRow(since=order.issued_at), names=(order.other_name or "",)))


def _named(row: ContactRow | None, name: str, at: int) -> ContactChange:
    known = row or ContactRow(since=at)
    return ContactChange(replace(known, names=(*known.names, name)[-MAX_NAMES:]))


def _followed(row: ContactRow | None, order: ContactCommand, is_told: bool) -> ContactChange:
    before = row or ContactRow(since=order.issued_at)
    if not is_new(row, order):
        return ContactChange(before)
    reason = order.reason or OPT_OUT
    after = replace(before, orders=(*before.orders, order.event_id)[-MAX_ORDERS:])
    after = removed(after, reason, order.issued_at)
    if reason in WISHES:
        after = replace(after, opted_out=True)
    if not order.list_number:
        for receiver in order.receivers or ((EVERYWHERE,) if reason in WISHES else ()):
            after = stopped(after, receiver)
    return ContactChange(after, cause=ordered_by(order, order.issued_at) if is_told else None)
