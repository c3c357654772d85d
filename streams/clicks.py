"""clicks: joins registered links and postbacks by click id, in one partition and one row, into conversions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bus.clock import now_ms
from bus.tables.table import Table
from bus.worker.batch import Batch
from bus.worker.context import Context
from bus.worker.inbox import Admitted, Kept
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.records import ContactCommand, ConversionEvent, Postback, TrackedLink
from streams import click_row
from streams.click_row import Arrived, ClickRow
from streams.conversions import (
    REPEATED,
    ClickChange,
    Configs,
    Rejection,
    Settled,
    apply_link,
    apply_postback,
    settle,
)
from streams.erasure import without

MAX_LINK_BYTES = 16 << 10
"""Maximum bytes of a registered link on its topic. A row holds eight of them, and the waiting postbacks."""

DUE_AT_ONCE = 500
"""Expired clicks that one tick settles; the rest follow with the next."""

_ROWS = b"click:"
"""Prefix of row keys. A click id is an arbitrary text, and a table has keys of its own."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a postback waits for its click, and how long an identical one counts as a repeat. In ms."""

    link_ms: int
    repeat_ms: int


class Clicks:
    """Applies records to the rows of clicks. The rules are in `streams.conversions`.

    `topic` is the name of the postbacks' topic, `count` gets the outcome of each postback, `now` returns ms.
    """

    def __init__(
        self,
        codec: Codec,
        configs: Configs,
        table: Table,
        topic: str,
        waits: Waits,
        count: Callable[[str], None],
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._codec = codec
        self._configs = configs
        self.table = table
        self._topic = topic
        self._waits = waits
        self._count = count
        self._now = now

    def apply(self, batch: Batch, source: Admitted) -> None:
        """Apply a registered link, a postback, or a command to erase a number. Raises CodecError for anything else."""
        record, partition, now = self._codec.decode(source.record.value), source.record.partition, self._now()
        match record:
            case TrackedLink():
                if len(source.record.value) > MAX_LINK_BYTES:
                    batch.reject(source, "too_long", "the link does not fit in a click's row",
                                 account=record.account)  # fmt: skip
                    return
                row = self._row(batch, partition, record.click_id)
                outcome = apply_link(row, record, now, self._configs, self._waits.repeat_ms)
            case Postback():
                row = self._row(batch, partition, record.click_id)
                trace = source.traceparent
                arrived = Arrived(record, source.record.offset, now + self._waits.link_ms,
                                  None if trace is None else trace.decode("latin-1"))  # fmt: skip
                outcome = apply_postback(row, arrived, now, self._configs, self._waits.repeat_ms)
            case ContactCommand(command="erase"):
                self._erase(batch, partition, record)
                return
            case _:
                raise CodecError(f"unexpected record: {type(record).__name__}")
        self._write(batch, partition, record.click_id, row, outcome)

    def settle_due(self, batch: Batch) -> None:
        """Settle postbacks that have waited long enough, in all of our partitions."""
        now = self._now()
        for partition, key in self.table.due(now, DUE_AT_ONCE):
            click_id = _click_id(key)
            row = self._row(batch, partition, click_id)
            self._write(batch, partition, click_id, row, settle(row, now, self._configs, self._waits.repeat_ms))

    def _erase(self, batch: Batch, partition: int, order: ContactCommand) -> None:
        rows = batch.rows(self.table)
        for key in rows.keys_of(partition, recipient_key(order.account, order.phone_number)):
            row = self._row(batch, partition, _click_id(key))
            after = without(row, order.account, order.phone_number)
            rows.put(partition, key, None if after is None else click_row.to_bytes(after))

    def _row(self, batch: Batch, partition: int, click_id: str) -> ClickRow:
        value = batch.rows(self.table).get(partition, _key(click_id))
        return ClickRow() if value is None else click_row.from_bytes(value)

    def _write(self, batch: Batch, partition: int, click_id: str, before: ClickRow, outcome: ClickChange) -> None:
        for settled in outcome.settled:
            self._send(batch, partition, settled)
        if outcome.row is not before:
            batch.rows(self.table).put(partition, _key(click_id), click_row.to_bytes(outcome.row))

    def _send(self, batch: Batch, partition: int, settled: Settled) -> None:
        arrived, result = settled.arrived, settled.result
        match result:
            case ConversionEvent():
                number = result.phone_number
                key = result.click_id.encode() if number is None else recipient_key(result.account, number)
                trace = arrived.traceparent
                context = Context(result.event_id, result.timestamp, None if trace is None else trace.encode("latin-1"))
                batch.send("conversion", result, context, key=key)
                self._count("orphaned" if number is None else "joined")
            case Rejection() if result is not REPEATED:
                postback = arrived.postback
                kept = Kept(self._topic, partition, arrived.offset, postback.click_id.encode(),
                            self._codec.encode(postback))  # fmt: skip
                batch.reject(kept, result.reason, result.error, account=postback.account, provider=postback.network)
                self._count("rejected")
            case _:
                self._count("repeated")


def _key(click_id: str) -> bytes:
    return _ROWS + click_id.encode()


def _click_id(key: bytes) -> str:
    return key.removeprefix(_ROWS).decode()
