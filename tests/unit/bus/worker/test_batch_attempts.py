"""A record whose processing fails leaves nothing behind but its rejection."""

from __future__ import annotations

from typing import Any

import pytest

from bus.memory import CODEC, MemoryKafka, ledger, make_durable
from bus.tables.table import Table
from bus.worker.batch import Batch
from bus.worker.context import Context
from bus.worker.inbox import Admitted
from schemas.codec import CodecError
from schemas.records import ContactState, RejectedRecord

STATE = ContactState(
    contact="c", account="a", list_number="l", phone_number="p", active=False, failures=0, reason="manual", since=1,
    last_event_id="e",
)  # fmt: skip


async def table_with_a_row(kafka: MemoryKafka) -> Table:
    table = kafka.table("t")
    await table.claim([ledger()])
    batch = kafka.batch([], table)
    batch.rows(table).put(0, b"known", b"before")
    await make_durable(batch)
    return table


def work(batch: Batch, table: Table, error: Exception | None = None) -> None:
    """Write an existing row and a new one, send, and fail if told to."""
    rows = batch.rows(table)
    rows.put(0, b"known", b"after")
    rows.put(0, b"new", b"first")
    rows.put(0, b"new", b"second")
    batch.send("contacts", STATE, Context("e", 1), key=b"c")
    if error is not None:
        raise error


@pytest.mark.parametrize("error", [CodecError("too long"), RuntimeError("a bug")])
async def test_its_rows_and_events_are_taken_back(error: Exception) -> None:
    kafka = MemoryKafka()
    table = await table_with_a_row(kafka)
    batch = kafka.batch([], table)
    source = kafka.admitted("receipts", b"key", b"value")
    with batch.attempt(source):
        work(batch, table, error)
    await make_durable(batch)
    assert [table.get(0, key)[1] for key in (b"known", b"new")] == [b"before", None]
    assert kafka.logs["sms.contacts", 0] == []
    (rejected,) = [CODEC.decode(record.value) for record in kafka.logs["sms.rejected", 0]]
    assert isinstance(rejected, RejectedRecord)


async def test_what_records_before_and_after_it_did_stays() -> None:
    kafka = MemoryKafka()
    table = await table_with_a_row(kafka)
    batch = kafka.batch([], table)
    source: Any = kafka.admitted("receipts", b"key", b"value")
    with batch.attempt(source):
        work(batch, table)
    with batch.attempt(source):
        batch.rows(table).put(0, b"new", b"wrong")
        raise CodecError("too long")
    with batch.attempt(source):
        batch.rows(table).put(0, b"later", b"right")
    await make_durable(batch)
    assert [table.get(0, key)[1] for key in (b"known", b"new", b"later")] == [b"after", b"second", b"right"]
    assert len(kafka.logs["sms.contacts", 0]) == 1


async def test_when_its_callback_was_received_goes_out_with_an_event_and_is_taken_back_with_it() -> None:
    kafka = MemoryKafka()
    batch = kafka.batch([])
    for error in (None, CodecError("too long")):
        with batch.attempt(kafka.admitted("receipts", b"key", b"value")):
            batch.send("contacts", STATE, Context("e", 1, received_at=1_795_169_733_004), key=b"c")
            if error is not None:
                raise error
    await make_durable(batch)
    (state,) = kafka.logs["sms.contacts", 0]
    assert Admitted(ledger(), state).received_at == 1_795_169_733_004
    assert [received_at for _, received_at in batch.received] == [1_795_169_733_004]
    assert batch.rejected == {"not_decodable": 1}
