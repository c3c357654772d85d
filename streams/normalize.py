"""normalize: raw callbacks become delivery receipts, inbound messages, clicks and postbacks.

Postbacks are keyed by their click, all others by their recipient. The header `source` of each is the place of its raw
callback, `topic/partition/offset`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bus.batches import Batch
from bus.inbox import Admitted
from providers import NETWORKS, PROVIDERS
from providers.base import Item, Malformed, Unreadable
from schemas.codec import Codec
from schemas.ids import recipient_key
from schemas.records import InboundMessage, LinkClick, Postback, RawCallback, Receipt
from streams.unknown_codes import UnknownCodes


def normalize(batch: Batch, source: Admitted, codec: Codec, unknown_codes: UnknownCodes) -> None:
    """Send every item of one raw callback on, in order; reject the items that make no sense, and only them."""
    callback = codec.decode_as(RawCallback, source.record.value)
    record = source.record
    origin = f"{record.topic}/{record.partition}/{record.offset}".encode()
    for index, item in _items(batch, source, callback):
        match item:
            case Receipt():
                item = unknown_codes.checked(item)
                batch.send("receipts", item, key=key_of_receipt(item), event_id=item.event_id, at=item.received_at,
                           traceparent=source.traceparent, source=origin)  # fmt: skip
            case InboundMessage():
                batch.send("inbound", item, key=recipient_key(item.account, item.from_), event_id=item.event_id,
                           at=item.received_at, traceparent=source.traceparent, source=origin)  # fmt: skip
            case LinkClick():
                batch.send("clicks", item, key=recipient_key(item.account, item.to), event_id=item.event_id,
                           at=item.received_at, traceparent=source.traceparent, source=origin)  # fmt: skip
            case Postback():
                batch.send("postbacks", item, key=item.click_id.encode(), event_id=item.event_id, at=item.received_at,
                           traceparent=source.traceparent, source=origin)  # fmt: skip
            case Malformed():
                batch.reject(source, item.reason, item.error, account=callback.account or None,
                             provider=callback.provider, item=(index, item.item))  # fmt: skip


def _items(batch: Batch, source: Admitted, callback: RawCallback) -> Iterator[tuple[int, Item]]:
    sender = PROVIDERS.get(callback.provider) or NETWORKS.get(callback.provider)
    try:
        if sender is None:
            raise Unreadable(
                "unknown_provider", f"{callback.provider!r} is no provider and no network that trackly knows"
            )
        yield from enumerate(sender.read(callback))
    except Unreadable as error:
        account = callback.account or None
        batch.reject(source, error.reason, str(error), account=account, provider=callback.provider)


def key_of_receipt(receipt: Receipt) -> bytes:
    """Key of a receipt: its recipient, or the message's id where the report names none."""
    if receipt.to is None:
        return f"{receipt.provider}:{receipt.provider_message_id}".encode()
    return recipient_key(receipt.account, receipt.to)
