"""What a reply does to a contact."""

from __future__ import annotations

from dataclasses import replace

from schemas.ids import derived_id
from schemas.records import InboundMessage, ReplyEvent
from streams.optout import OptOutWords
from streams.row import ContactRow
from streams.rules.outcome import Event, Outcome, outcome_of, removed, restored, times, unsubscribe_event

MAX_INBOUND = 16
"""Ids of replies that a row keeps. Providers repeat a callback within minutes, not after 16 more replies."""


def apply_inbound(
    row: ContactRow | None, inbound: InboundMessage, list_number: str | None, words: OptOutWords
) -> Outcome:
    """What a reply does: an opt-out removes the contact, an opt-in undoes an opt-out, any other is passed on.

    Where both could be read, the opt-out wins. Without a list the event goes out and no contact is touched.
    """
    at, heard_at = times(inbound)
    before = row or ContactRow(since=at)
    inbound_id = f"{inbound.provider}:{inbound.provider_message_id or inbound.event_id}"
    if inbound_id in before.inbound:
        return Outcome(before)
    after = replace(before, inbound=(*before.inbound, inbound_id)[-MAX_INBOUND:])

    # Some providers put the first word into the keyword alone and leave the text empty.
    reply = inbound.text or inbound.keyword or ""
    opt_out = words.match(reply)
    if opt_out is not None or inbound.kind == "opt_out":
        keyword = inbound.keyword if opt_out is None else opt_out.keyword
        reason = "message" if opt_out is None else opt_out.reason
        unsubscribe = unsubscribe_event(inbound, inbound.from_, list_number, keyword, reason, at)
        if list_number is None:
            return Outcome(after, (unsubscribe,))
        after = removed(after, reason, at, heard_at)
        events: list[Event] = [unsubscribe] if before.active else []
        return outcome_of(before, after, events, inbound, list_number, inbound.from_)

    reply_event = _reply_event(inbound, list_number, at)
    if list_number is None:
        return Outcome(after, (reply_event,))
    opts_in = inbound.kind == "opt_in" or words.is_opt_in(reply)
    if opts_in and after.reason == "message" and heard_at >= after.removed_at:
        after = restored(after, at)
    return outcome_of(before, after, [reply_event], inbound, list_number, inbound.from_)


def _reply_event(inbound: InboundMessage, list_number: str | None, at: int) -> ReplyEvent:
    return ReplyEvent(
        event_id=derived_id(inbound.event_id, "reply"),
        account=inbound.account,
        provider=inbound.provider,
        phone_number=inbound.from_,
        list_number=list_number,
        body=inbound.text or "",
        timestamp=at,
    )
