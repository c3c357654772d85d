"""The effect of registering a message: its row, and the `sent` events."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.ids import derived_id, sent_event_id
from schemas.records import MessageSent, SentEvent, TrackedLink
from streams.message_row import MessageRow
from streams.rules.callbacks import sent_callback, state_callback
from streams.rules.outcome import Event


def register(row: MessageRow, message: MessageSent, now: int) -> tuple[MessageRow, tuple[Event, ...]]:
    """Return the message's row and the events of a registration. A repeated one returns the same row and no events.

    A registration that differs from the last one corrects it from then on. Events already sent are not repeated. The
    caller sends the events of waiting reports. Events, links, and callbacks tell no later time than `now`: a sender's
    clock, or the unit in which it counts, may be wrong.
    """
    known = row.message
    if known == message:
        return row, ()
    told = replace(message, sent_at=max(0, min(message.sent_at, now)))
    events: list[Event] = []
    event_id = sent_event_id(message.account, message.provider, message.provider_message_id)
    if not row.sent:
        events.append(_sent_event(told, event_id))
    links = known.links if known else ()
    events += [_tracked_link(told, link.click_id, link.url) for link in message.links if link not in links]
    if known is None or known.callback_url is None:
        callbacks = [sent_callback(told, event_id)]
        if row.state is not None and not row.waiting:
            callbacks.append(state_callback(message, None, row.state, event_id))
        events += [callback for callback in callbacks if callback is not None]
    return replace(row, since=now, message=message, waiting=(), sent=True, opt_outs=()), tuple(events)


def _sent_event(message: MessageSent, event_id: str) -> SentEvent:
    return SentEvent(
        event_id=event_id,
        account=message.account,
        message_id=message.message_id,
        provider_message_id=message.provider_message_id,
        provider=message.provider,
        to=message.to,
        list_number=message.list_number,
        part_count=message.part_count,
        timestamp=message.sent_at,
    )


def _tracked_link(message: MessageSent, click_id: str, url: str) -> TrackedLink:
    return TrackedLink(
        event_id=derived_id(message.account, message.provider, message.provider_message_id, "link", click_id),
        account=message.account,
        click_id=click_id,
        message_id=message.message_id,
        provider=message.provider,
        provider_message_id=message.provider_message_id,
        phone_number=message.to,
        list_number=message.list_number,
        url=url,
        registered_at=message.sent_at,
    )
