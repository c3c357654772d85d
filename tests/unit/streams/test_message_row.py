"""The row of a message: its bytes in the table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bus.memory import CODEC
from schemas.records import Link
from streams.message_row import (
    MessageRow,
    Removal,
    Report,
    Waiting,
    due_at,
    from_bytes,
    since_of,
    to_bytes,
    to_keep,
    to_wait,
)
from streams.row import RowError
from tests.unit.streams.contact_records import DELIVERED, LIST, NUMBER, START_OF_DAY, inbound, message_sent, receipt

REGISTERED = MessageRow(
    since=7,
    message=message_sent("m1", unique_args={"a": "b"}, links=(Link("c", "https://acme.example"),), part_count=2),
    sent=True,
)
FAILED = Report("undeliverable", "EXPIRED", "transient", 3, "(4,15)", 5, None, 6)
DELIVERED_LATER = Report("delivered", "DELIVERED", "delivered", 3, None, None, 7, 8)
REACHED: dict[str, Any] = {
    "reports": (FAILED, DELIVERED_LATER),
    "removals": (Removal("message", 4),),
    "list_number": LIST,
    "opt_outs": (to_keep(inbound("STOP", 5), "stop"),),
}
WAITING = MessageRow(
    since=7, waiting=(to_wait(LIST, receipt("m1", DELIVERED, 5)), to_wait(None, receipt("m1", DELIVERED)))
)
RELEASED = [MessageRow(since=7), MessageRow(since=7, sent=True)]
ROWS = [REGISTERED, WAITING, *RELEASED, *(replace(row, **REACHED) for row in (REGISTERED, WAITING, *RELEASED))]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_reads_back_as_it_was_written(row: MessageRow) -> None:
    data = to_bytes(row, CODEC)
    assert from_bytes(data, CODEC) == row
    assert since_of(data, CODEC) == 7


@given(st.lists(st.tuples(st.none() | st.text(max_size=20), st.integers(0, 2**40)), min_size=1, max_size=8))
def test_reports_wait_in_their_order(reports: list[tuple[str | None, int]]) -> None:
    waiting = tuple(Waiting(named, to_wait(None, receipt("m", DELIVERED, at)).receipt) for named, at in reports)
    row = MessageRow(since=1, waiting=waiting)
    assert from_bytes(to_bytes(row, CODEC), CODEC) == row


def test_a_report_waits_without_what_may_be_long() -> None:
    report = receipt("m1", DELIVERED, 5, provider_text="x" * 1_000)
    data = to_bytes(MessageRow(since=7, waiting=(to_wait(LIST, report),)), CODEC)
    assert len(data) < 800


def test_an_opt_out_is_kept_without_anything_personal() -> None:
    said = replace(inbound("Stop it, I am Ann", 5), user_id="US.1", media=("https://files.example/ann",))
    data = to_bytes(MessageRow(since=7, opt_outs=(to_keep(said, "stop"),)), CODEC)
    assert not [each for each in (NUMBER, "Ann", "US.1", "files.example") if each.encode() in data]


@pytest.mark.parametrize(("row", "due"), [(WAITING, 1_007), (REGISTERED, None), *((row, None) for row in RELEASED)])
def test_a_row_is_due_while_reports_wait(row: MessageRow, due: int | None) -> None:
    assert due_at(to_bytes(row, CODEC), wait=1_000) == due


def test_a_message_without_a_head_reads_as_registered_when_it_was_sent() -> None:
    message = message_sent("m1")
    data = CODEC.encode(message)
    assert from_bytes(data, CODEC) == MessageRow(since=START_OF_DAY, message=message, sent=True)
    assert since_of(data, CODEC) == START_OF_DAY
    assert due_at(data, wait=1_000) is None


def test_the_last_report_is_the_state() -> None:
    assert MessageRow(since=7).state is None
    assert replace(RELEASED[0], **REACHED).state == DELIVERED_LATER


@pytest.mark.parametrize(
    ("data", "row"),
    [
        (b"\x01" + bytes(7) + b"\x07" + CODEC.encode(REGISTERED.message), REGISTERED),
        (b"\x03" + bytes(7) + b"\x07", MessageRow(since=7)),
        (b"\x04" + bytes(7) + b"\x07", MessageRow(since=7, sent=True)),
    ],
)
def test_rows_from_before_they_held_reports_read_too(data: bytes, row: MessageRow) -> None:
    assert from_bytes(data, CODEC) == row
    assert since_of(data, CODEC) == 7


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05" + bytes(8) + b"\x00\x00\x00\x02{}",
        b"\x07" + bytes(8) + b"\x00\x00\x00\xff[]",
        b"\x07" + bytes(8) + b"\x00\x00\x00\x14[false,[],[],null]more",
        b"\x01",
        b"\x01" + bytes(8),
        b"\x01" + bytes(8) + CODEC.encode(receipt("m1", DELIVERED)),
        b"\x02" + bytes(8),
        b"\x02" + bytes(8) + b"{}x",
        b"\x02" + bytes(8) + b'[["+1", {"event_id": "e"}]]',
        b"\x03" + bytes(8) + b"more",
        b"\x09" + bytes(8),
        b"\x00\x00\x00\x00\x04",
    ],
)
def test_bytes_that_are_no_row_are_refused(data: bytes) -> None:
    with pytest.raises(RowError):
        from_bytes(data, CODEC)
