"""The effect of a reply on a contact."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from msgspec.structs import replace

from schemas.ids import derived_id
from schemas.records import REASSIGNED, InboundMessage, ReplyEvent
from streams.optout import OptOutWords
from streams.row import ContactRow
from streams.rules.everywhere import ended, sparing, stopped
from streams.rules.outcome import (
    CONFIRMATION,
    OPT_OUT,
    PROVIDER_LAYER,
    RENEWABLE,
    Cause,
    ContactChange,
    removed,
    restored,
    time_of,
)

MAX_INBOUND = 16
"""Reply ids kept in a row. Providers repeat a callback within minutes, not after 16 more replies."""


class Reading(NamedTuple):
    """What a reply asks for.

    `reason` is that of the removal, or None if it is not an opt-out; `keyword` is what it said, and `layer` what
    detected it.
    """

    reason: str | None
    keyword: str | None
    opts_in: bool
    layer: str | None = None


def read_reply(inbound: InboundMessage, words: OptOutWords, names: Collection[str] = ()) -> Reading:
    """Classify a reply to an account with these names. If it matches both an opt-out and an opt-in, it is an
    opt-out."""
    # Some providers put the first word in the keyword and leave the text empty. If there is a text, the keyword is the
    # payload of a tapped button, the sender's own word for the person's choice (one per line, if they chose several),
    # or the first word, which the provider knows. On a number that several senders share, it is the sender's name:
    # "ACME STOP".
    reply, keyword = inbound.text or inbound.keyword or "", inbound.keyword or ""
    said = (reply, *keyword.splitlines(), _after(keyword, reply))
    opt_out = next(filter(None, (words.match(each, names) for each in said)), None)
    if opt_out is not None:
        return Reading(opt_out.reason, opt_out.keyword, False, opt_out.layer)
    if inbound.kind == "opt_out":
        return Reading(OPT_OUT, inbound.keyword, False, PROVIDER_LAYER)
    return Reading(None, None, inbound.kind == "opt_in" or words.is_opt_in(reply))


def _after(keyword: str, reply: str) -> str:
    """Return what follows the keyword in a reply that begins with it; "" if there is nothing or it does not."""
    reply = reply.lstrip()
    begins, follows = reply[: len(keyword)], reply[len(keyword) :]
    is_first = bool(keyword) and begins.casefold() == keyword.casefold() and not follows[:1].isalnum()
    return follows if is_first else ""


def is_reassigned(inbound: InboundMessage) -> bool:
    """Whether the provider reports that the number has been reassigned."""
    return inbound.kind == "opt_out" and inbound.keyword == REASSIGNED and inbound.text is None


def apply_reassigned(row: ContactRow | None, inbound: InboundMessage, consented: Collection[str]) -> ContactChange:
    """Apply a reassignment to the account-wide row: it ends all earlier consent. See `ended`."""
    cause = cause_of(inbound)
    before = row or ContactRow(since=cause.at)
    if is_repeated(before, inbound):
        return ContactChange(before)
    return ContactChange(ended(_noted(before, inbound), "reassigned", cause.at, consented), cause=cause)


def cause_of(inbound: InboundMessage, keyword: str | None = None, layer: str | None = None) -> Cause:
    """Return a reply as a cause."""
    at = time_of(inbound)
    return Cause(
        inbound.event_id,
        inbound.account,
        inbound.provider,
        at,
        inbound.event_id,
        None,
        keyword,
        inbound.answered_by_provider,
        at + CONFIRMATION,
        layer,
        inbound.received_at,
    )


def is_repeated(row: ContactRow | None, inbound: InboundMessage, reason: str | None = None) -> bool:
    """Whether the row has seen this reply before; with a reason for a removal, as one with this effect."""
    return row is not None and _name(inbound, reason) in row.inbound


def apply_opt_out(
    row: ContactRow | None,
    inbound: InboundMessage,
    reading: Reading,
    receiver: str | None = None,
    consented: Collection[str] = (),
) -> ContactChange:
    """Apply an opt-out to the contact's row on a list or, with a `receiver`, to the account-wide row; then it spares
    the lists to which the contact has `consented` since.

    A repeated one does not undo a later consent. Only its time shows that: an id may be made from a message's content,
    or be that of the reply that a provider's notice is about.
    """
    cause, reason = cause_of(inbound, reading.keyword, reading.layer), reading.reason or OPT_OUT
    before = row or ContactRow(since=cause.at)
    if is_repeated(before, inbound, reason) and cause.at < before.consented_at:
        return ContactChange(before)
    after = replace(removed(_noted(before, inbound, reason), reason, cause.at), opted_out=True)
    if receiver is not None:
        after = sparing(before, stopped(after, receiver), consented)
    return ContactChange(after, cause=cause)


def apply_reply(
    row: ContactRow | None, inbound: InboundMessage, reading: Reading, list_name: str | None, *, is_certain: bool
) -> ContactChange:
    """Apply any other reply to the contact's row: it is passed on once; an opt-in undoes an opt-out if it certainly
    refers to this list."""
    cause = cause_of(inbound)
    before = row or ContactRow(since=cause.at)
    if is_repeated(before, inbound):
        return ContactChange(before)
    after = _noted(before, inbound)
    if reading.opts_in and is_certain and after.active:
        after = replace(after, consented_at=max(after.consented_at, cause.at))
    elif reading.opts_in and is_certain and after.reason in RENEWABLE and cause.at > after.removed_at:
        after = restored(after, cause.at)
    return ContactChange(after, (_reply_event(inbound, list_name, cause, reading),), cause)


def _name(inbound: InboundMessage, reason: str | None = None) -> str:
    name = f"{inbound.provider}:{inbound.provider_message_id or inbound.event_id}"
    # A notice of an opt-out may have the id of a complaint, which outweighs a later START and so must count itself.
    return name if reason is None or reason in RENEWABLE else f"{name}:{reason}"


def _noted(row: ContactRow, inbound: InboundMessage, reason: str | None = None) -> ContactRow:
    if is_repeated(row, inbound, reason):
        return row
    return replace(row, inbound=(*row.inbound, _name(inbound, reason))[-MAX_INBOUND:])


def _reply_event(inbound: InboundMessage, list_number: str | None, cause: Cause, reading: Reading) -> ReplyEvent:
    return ReplyEvent(
        event_id=derived_id(inbound.event_id, "reply"),
        account=inbound.account,
        provider=inbound.provider,
        phone_number=inbound.from_,
        list_number=list_number,
        body=inbound.text or "",
        timestamp=cause.at,
        answered_by_provider=inbound.answered_by_provider,
        confirm_until=cause.confirm_until if reading.opts_in else None,
    )
