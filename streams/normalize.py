"""normalize: turns raw callbacks into delivery receipts, inbound messages, clicks, and postbacks.

Postbacks are keyed by click, everything else by recipient. The `source` header is the position of the raw callback,
`topic/partition/offset`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence

from bus.worker.batch import NOT_OF_THE_RECORD, Batch, about_source
from bus.worker.context import Context
from bus.worker.inbox import Admitted
from bus.worker.rows import TooLarge
from providers import NETWORKS, PROVIDERS
from providers.base import OTHER_CHANNEL, Item, Malformed, Unreadable
from providers.codes import of_account
from schemas.codec import Codec
from schemas.ids import recipient_key
from schemas.records import WISH_CLASSES, InboundMessage, LinkClick, Postback, RawCallback, Receipt
from streams.optout import default_words
from streams.unknown_codes import UnknownCodes
from streams.unread import Unread, text_of

log = logging.getLogger(__name__)


Classes = Callable[[str], Mapping[str, str]]
"""Returns the failure classes that an account, given by id, configured itself, by provider and code."""


def normalize(
    batch: Batch, source: Admitted, codec: Codec, unknown_codes: UnknownCodes, classes: Classes = lambda account: {}
) -> None:
    """Send every item of a raw callback, in order; reject only the items that make no sense.

    A body that breaks a provider's parser never counts as a failure of the worker: anyone may post one.
    """
    callback = codec.decode_as(RawCallback, source.record.value)
    unread = Unread(callback.provider, default_words())
    for index, item in enumerate(_items(batch, source, callback, unread)):
        if isinstance(item, Receipt):
            item = of_account(item, classes(item.account))
            unknown_codes.look_at(item)
        refused = item if isinstance(item, Malformed) else _send(batch, source, item)
        if refused is not None:
            batch.reject(source, refused.reason, refused.error, account=callback.account or None,
                         provider=callback.provider, item=(index, refused.item),
                         may_opt_out=_may_opt_out(callback, unread, refused.reason, refused.item))  # fmt: skip


def _send(batch: Batch, source: Admitted, item: Receipt | InboundMessage | LinkClick | Postback) -> Malformed | None:
    """Send one item to its topic. Returns it as malformed if it is too large for the topic."""
    match item:
        case Receipt():
            topic, key = "receipts", key_of_receipt(item)
        case InboundMessage():
            topic, key = "inbound", recipient_key(item.account, item.from_)
        case LinkClick():
            topic, key = "clicks", recipient_key(item.account, item.to)
        case Postback():
            topic, key = "postbacks", item.click_id.encode()
    record = source.record
    place = f"{record.topic}/{record.partition}/{record.offset}".encode()
    try:
        context = Context(item.event_id, item.received_at, source.traceparent, place, _digest(source, item))
        batch.send(topic, item, context, key=key)
    except TooLarge as error:
        return Malformed("too_large", str(error), "" if isinstance(item, Postback) else item.raw)
    return None


def _digest(source: Admitted, item: Receipt | InboundMessage | LinkClick | Postback) -> bytes | None:
    """Return the hash of the raw callback as stored on Kafka, for items that may affect consent."""
    if isinstance(item, InboundMessage) or (isinstance(item, Receipt) and item.status_class in WISH_CLASSES):
        return hashlib.sha256(source.record.value).hexdigest().encode()
    return None


def _items(batch: Batch, source: Admitted, callback: RawCallback, unread: Unread) -> Sequence[Item]:
    sender = PROVIDERS.get(callback.provider) or NETWORKS.get(callback.provider)
    account = callback.account or None
    try:
        if sender is None:
            raise Unreadable("unknown_provider", f"{callback.provider!r} is not a known provider or network")
        return sender.read(callback)
    except Unreadable as error:
        batch.reject(source, error.reason, str(error), account=account, provider=callback.provider,
                     may_opt_out=_may_opt_out(callback, unread, error.reason))  # fmt: skip
    except NOT_OF_THE_RECORD:
        raise
    except Exception as error:
        about = about_source(source, "normalize", account) | {"provider": callback.provider}
        log.exception("cannot read a callback of %s", callback.provider, extra=about)
        marked = _may_opt_out(callback, unread, "internal_error")
        batch.reject(source, "internal_error", f"{type(error).__name__}: {error}", account=account,
                     provider=callback.provider, may_opt_out=marked)  # fmt: skip
    return ()


def _may_opt_out(callback: RawCallback, unread: Unread, reason: str, item: str | None = None) -> bool:
    """Whether a rejected item or callback may contain an opt-out."""
    if callback.provider not in PROVIDERS or reason == OTHER_CHANNEL:
        return False
    if item is not None:
        return unread.may_opt_out(item)
    body = text_of(callback.body, callback.content_type)
    return body is None or unread.may_opt_out(f"{body}\n{callback.query}")


def key_of_receipt(receipt: Receipt) -> bytes:
    """Return a receipt's key: its recipient, by number or channel id, or else the message's id."""
    if receipt.to is None and receipt.user_id is not None:
        return recipient_key(receipt.account, receipt.user_id)
    if receipt.to is None:
        return f"{receipt.provider}:{receipt.provider_message_id}".encode()
    return recipient_key(receipt.account, receipt.to)
