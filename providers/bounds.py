"""Length limits for record fields that hold a provider's own text, and what happens to longer values.

Every provider's `read` passes its items through `within_bounds`, so that they fit their topics, the table rows that
count them, and the clock, whatever the body holds. `docs/bounds.md` shows the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec.structs import replace

from providers.base import Item, Malformed, Unreadable
from providers.numbers import is_unclear
from schemas.records import InboundMessage, LinkClick, Postback, RawCallback, Receipt

DAY = 86_400_000
"""Milliseconds that a provider's clock may run ahead of ours. Later times are dropped."""

ID, CUT, LEFT_OUT, REFUSED = "id", "cut", "left out", "refused"
"""What happens to a value that is too long. A shortened id ends in a digest of the whole, so the same id is always
shortened the same way."""


class Bound(NamedTuple):
    """A field's limit in characters, and what happens to a longer value."""

    characters: int
    longer: str


MAX_ID = 255
"""Maximum characters of a message, reply, or click id."""

_ID = Bound(MAX_ID, ID)
_RAW = Bound(65_536, CUT)
_NUMBER = Bound(255, LEFT_OUT)
_CHANNEL = Bound(40, LEFT_OUT)

BOUNDS: Mapping[type[Item], Mapping[str, Bound]] = {
    Receipt: {
        "provider_message_id": _ID,
        "sender_reference": Bound(4_000, ID),
        "to": _NUMBER,
        "from_": _NUMBER,
        "status_detail": Bound(128, CUT),
        "provider_status": Bound(128, CUT),
        "provider_code": Bound(128, CUT),
        "provider_text": Bound(2_000, CUT),
        "price": Bound(64, LEFT_OUT),
        "network": Bound(128, CUT),
        "raw": _RAW,
        "channel": _CHANNEL,
        "user_id": _NUMBER,
    },
    InboundMessage: {
        "provider_message_id": _ID,
        "in_reply_to": _ID,
        "from_": Bound(255, REFUSED),
        "to": _NUMBER,
        "list_number": _NUMBER,
        "text": Bound(20_000, CUT),
        "keyword": Bound(255, CUT),
        "raw": _RAW,
        "channel": _CHANNEL,
        "user_id": _NUMBER,
    },
    LinkClick: {
        "provider_message_id": _ID,
        "click_id": _ID,
        "to": Bound(255, REFUSED),
        "url": Bound(2_048, LEFT_OUT),
        "raw": _RAW,
    },
    Malformed: {"error": Bound(2_000, CUT), "item": _RAW},
    Postback: {},
}
"""Field limits by the record type that a provider's item becomes. Postbacks are bounded where they are read."""

MEDIA, MEDIA_URL = 32, 2_048
"""Maximum media files of a reply, and characters of a media URL. The rest stays in the raw item only."""


class _Bounded(Protocol):
    @property
    def max_body_bytes(self) -> int: ...


Self = TypeVar("Self", bound=_Bounded)


def within_bounds(read: Callable[[Self, RawCallback], list[Item]]) -> Callable[[Self, RawCallback], list[Item]]:
    """Decorator for `Provider.read` that enforces field limits and drops impossible times.

    A body over the size limit is not read: Unreadable("too_large"). A reply from a number that cannot be read is
    Malformed: as a contact of its own, its opt-out would remove nobody.
    """

    @wraps(read)
    def bounded(self: Self, callback: RawCallback) -> list[Item]:
        if len(callback.body) > self.max_body_bytes:
            raise Unreadable("too_large", f"the body has more than {self.max_body_bytes} bytes")
        return [_within(item) for item in read(self, callback)]

    return bounded


def cut(text: str, characters: int) -> str:
    """Return the text, or its beginning and a mark that says how much was cut off."""
    if len(text) <= characters:
        return text
    mark = f"…[{len(text)} characters]"
    return text[: characters - len(mark)] + mark


def short_id(text: str, characters: int) -> str:
    """Return the id, or its beginning and a digest of the whole."""
    if len(text) <= characters:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{text[: characters - len(digest) - 1]}~{digest}"


def _within(item: Item) -> Item:
    if isinstance(item, InboundMessage) and is_unclear(item.from_):
        error = "the sender is a phone number without its country, or with an extension"
        return _within(Malformed("invalid_number", error, item.raw))
    changes: dict[str, Any] = {}
    for name, bound in BOUNDS[type(item)].items():
        value = getattr(item, name)
        if value is None or len(value) <= bound.characters:
            continue
        match bound.longer:
            case "id":
                changes[name] = short_id(value, bound.characters)
            case "cut":
                changes[name] = cut(value, bound.characters)
            case "left out":
                changes[name] = None
            case _:
                error = f"{name.rstrip('_')} has more than {bound.characters} characters"
                return _within(Malformed("too_large", error, getattr(item, "raw", "")))
    at = getattr(item, "occurred_at", None)
    if at is not None and not 0 <= at <= getattr(item, "received_at", 0) + DAY:
        changes["occurred_at"] = None
    if isinstance(item, InboundMessage) and item.media:
        media = tuple(url for url in item.media if len(url) <= MEDIA_URL)[:MEDIA]
        if media != item.media:
            changes["media"] = media
    return replace(item, **changes) if changes else item
