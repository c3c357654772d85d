"""The row of a contact: the failure count, and the bytes in the table."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.row import FORMAT, ContactRow, MessageState, RowError, from_bytes, to_bytes

CLASSES = {"F": "transient", "D": "delivered", "N": "neutral", "O": "opt_out", "I": "invalid"}


def row_of(classes: str, counted_from: int = 0) -> ContactRow:
    """A row whose messages have these classes, at 1, 2, 3 ..."""
    recent = tuple(
        MessageState(f"cm:{at}", "x", "X", CLASSES[letter], 3, at, at) for at, letter in enumerate(classes, 1)
    )
    return ContactRow(since=1, recent=recent, counted_from=counted_from)


@pytest.mark.parametrize(
    ("classes", "counted_from", "failures"),
    [
        ("", 0, 0),
        ("F", 0, 1),
        ("FFF", 0, 3),
        ("FFD", 0, 0),
        ("FDFF", 0, 2),
        ("DFNFN", 0, 2),
        ("FOIF", 0, 2),
        ("FFF", 2, 1),
        ("FFF", 3, 0),
        ("FFNF", 2, 1),
    ],
)
def test_failures_are_the_run_of_failed_messages_at_the_end(classes: str, counted_from: int, failures: int) -> None:
    assert row_of(classes, counted_from).failures == failures


times = st.integers(min_value=0, max_value=2**53)
states = st.builds(
    MessageState,
    key=st.text(max_size=20),
    status=st.text(max_size=10),
    detail=st.text(max_size=10),
    status_class=st.text(max_size=10),
    rank=st.integers(0, 3),
    occurred_at=st.none() | times,
    at=times,
    sent=st.booleans(),
)
rows = st.builds(
    ContactRow,
    active=st.booleans(),
    reason=st.none() | st.text(max_size=10),
    since=times,
    counted_from=times,
    removed_at=times,
    recent=st.lists(states, max_size=4).map(tuple),
    inbound=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    clicks=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    restored_at=times,
)


@given(rows)
def test_a_row_reads_back_as_it_was_written(row: ContactRow) -> None:
    back = from_bytes(to_bytes(row))
    assert back == row
    assert all(type(message) is MessageState for message in back.recent)


def test_bytes_begin_with_the_format() -> None:
    assert orjson.loads(to_bytes(ContactRow(since=1)))[0] == FORMAT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"1",
        b"[]",
        b"{}",
        b"[1]",
        b"[1,true,null,1,0,0,[]]",
        b"[1,true,null,1,0,0,[],[],0]",
        b'[1,true,null,1,0,0,[["key"]],[]]',
        b"[1,true,null,1,0,0,7,[]]",
        b"[2,true,null,1,0,0,[],[],[]]",
        b"[2,true,null,1,0,0,[],[],[],0,0]",
        b'[2,true,null,1,0,0,[["key"]],[],[],0]',
        b"[2,true,null,1,0,0,7,[],[],0]",
        b"[99,true,null,1,0,0,[],[],{}]",
    ],
)
def test_bytes_that_are_no_row_are_refused(data: bytes) -> None:
    with pytest.raises(RowError):
        from_bytes(data)


def test_a_row_of_the_first_format_reads_as_one_without_clicks() -> None:
    data = b'[1,false,"complaint",5,1,4,[["cm:1","rejected","REJECTED_SPAM","complaint",3,5,5]],["cm:2"]]'
    state = MessageState("cm:1", "rejected", "REJECTED_SPAM", "complaint", 3, 5, 5, sent=False)
    assert from_bytes(data) == ContactRow(
        active=False, reason="complaint", since=5, counted_from=1, removed_at=4, recent=(state,), inbound=("cm:2",)
    )


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(RowError, match="row format 99 is unknown, expected 2"):
        from_bytes(b"[99,true,null,1,0,0,[],[],{}]")
