"""Clicks on links of messages: one event for each."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.ids import derived_id
from schemas.records import ClickEvent, LinkClick, MessageSent
from streams.row import ContactRow
from streams.rules.outcome import ContactChange, time_of

MAX_CLICKS = 16
"""Clicks that a row remembers. Providers repeat a callback within minutes, not after 16 more clicks."""

_ID_LENGTH = 12
"""Characters of a click's id in the row, that is 60 bits; a row holds 16 of them."""


def apply_click(
    row: ContactRow | None, click: LinkClick, message: MessageSent | None, list_number: str | None
) -> ContactChange:
    """Apply a click. `message` is the registered one that the click names. A repeated click has no effect.

    The link's own id is the one that the click names, or else that of the message's link with its target.
    """
    at = time_of(click)
    before = row or ContactRow(since=at)
    name = _name(click)
    if name in before.clicks:
        return ContactChange(before)
    event = ClickEvent(
        event_id=derived_id(click.event_id, "click"),
        account=click.account,
        message_id=click.provider_message_id if message is None else message.message_id,
        click_id=click.click_id or _click_id(click, message),
        provider=click.provider,
        phone_number=click.to,
        list_number=list_number,
        url=click.url or _url(click, message),
        timestamp=at,
    )
    return ContactChange(replace(before, clicks=(*before.clicks, name)[-MAX_CLICKS:]), (event,))


def _name(click: LinkClick) -> str:
    """Return a name that is the same for a repeated click. Without a time, a click is identified by its callback."""
    when = click.event_id if click.occurred_at is None else click.occurred_at
    parts = (click.provider, click.provider_message_id or "", click.click_id or "", click.url or "", when)
    return derived_id(*parts).removeprefix("evt_")[:_ID_LENGTH]


def _click_id(click: LinkClick, message: MessageSent | None) -> str | None:
    links = message.links if message else ()
    return next((link.click_id for link in links if link.url == click.url), None)


def _url(click: LinkClick, message: MessageSent | None) -> str | None:
    links = message.links if message else ()
    return next((link.url for link in links if link.click_id == click.click_id), None)
