"""The row of a contact: the failure count, and the bytes in the table."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.row import (
    ERASED,
    FORMAT,
    ContactRow,
    Counted,
    Held,
    RowError,
    Ruled,
    from_bytes,
    held_label,
    holder,
    holders_of,
    labels_of,
    ruled_label,
    size_label,
    to_bytes,
)


def row_of(ends: str, counted_from: int = 0) -> ContactRow:
    """A row whose messages failed (F) or were delivered (D), at 1, 2, 3 ..."""
    counted = tuple(Counted(f"cm:{at}", at, letter == "F") for at, letter in enumerate(ends, 1))
    return ContactRow(since=1, counted=counted, counted_from=counted_from)


@pytest.mark.parametrize(
    ("ends", "counted_from", "failures"),
    [
        ("", 0, 0),
        ("F", 0, 1),
        ("FFF", 0, 3),
        ("FFD", 0, 0),
        ("FDFF", 0, 2),
        ("FFF", 2, 1),
        ("FFF", 3, 0),
    ],
)
def test_failures_are_the_run_of_failed_messages_at_the_end(ends: str, counted_from: int, failures: int) -> None:
    assert row_of(ends, counted_from).failures == failures


times = st.integers(min_value=0, max_value=2**53)
texts = st.text(max_size=20)
messages = st.builds(Counted, key=st.text(max_size=20), at=times, failed=st.booleans())
rows = st.builds(
    ContactRow,
    active=st.booleans(),
    reason=st.none() | st.text(max_size=10),
    since=times,
    counted_from=times,
    removed_at=times,
    counted=st.lists(messages, max_size=4).map(tuple),
    inbound=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    clicks=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    orders=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    removals=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    erased_at=times,
    consented_at=times,
    opted_out=st.booleans(),
    stops=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    except_lists=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    ruled=st.none() | st.builds(Ruled, at=times, era=texts),
    held=st.none()
    | st.builds(
        Held,
        reason=texts,
        at=times,
        event_id=texts,
        told=texts,
        provider=texts,
        message_id=st.none() | texts,
        received_at=st.none() | times,
        place=texts,
        after=texts,
    ),
)


@given(rows)
def test_a_row_reads_back_as_it_was_written(row: ContactRow) -> None:
    back = from_bytes(to_bytes(row))
    assert back == row
    assert all(type(message) is Counted for message in back.counted)


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
        b"[2,true,null,1,0,0,[],[],[]]",
        b"[2,true,null,1,0,0,[],[],[],0,0]",
        b'[2,true,null,1,0,0,[["key"]],[],[],0]',
        b"[2,true,null,1,0,0,7,[],[],0]",
        b'[3,true,null,1,0,0,[["key"]],[],[],[],[],0]',
        b"[3,true,null,1,0,0,[],[],[],0,[],0]",
        b"[3,true,null,1,0,0,[],[],[],0]",
        b"[99,true,null,1,0,0,[],[],{}]",
    ],
)
def test_bytes_that_are_no_row_are_refused(data: bytes) -> None:
    with pytest.raises(RowError):
        from_bytes(data)


def test_a_row_that_kept_whole_states_of_messages_reads_with_what_counts_of_them() -> None:
    states = (
        b'["cm:1","rejected","REJECTED_SPAM","complaint",3,5,5,false],'
        b'["cm:2","undeliverable","EXPIRED","transient",3,null,6,true],'
        b'["cm:3","delivered","DELIVERED_TO_HANDSET","delivered",3,7,7,false]'
    )
    data = b'[2,false,"complaint",5,1,4,[' + states + b'],["cm:9"],["click"],8]'
    assert from_bytes(data) == ContactRow(
        active=False,
        reason="complaint",
        since=5,
        counted_from=1,
        removed_at=4,
        counted=(Counted("cm:2", 6, True), Counted("cm:3", 7, False)),
        inbound=("cm:9",),
        clicks=("click",),
        consented_at=1,
    )


def test_a_row_from_before_consent_was_kept_has_the_time_of_its_last_restore() -> None:
    data = b"[4,true,null,9,7,4,[],[],[],[],[],0,false,[],[]]"
    assert from_bytes(data) == ContactRow(since=9, counted_from=7, removed_at=4, consented_at=7)


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(RowError, match="row format 99 is unknown, expected 7"):
        from_bytes(b"[99,true,null,1,0,0,[],[],{}]")


def test_a_row_from_before_there_were_brakes_reads_as_one_that_none_has_counted() -> None:
    data = b'[4,false,"complaint",5,1,4,[],["cm:9"],[],[],["cm:1:complaint"],0,false,["*"],["+1800"]]'
    assert from_bytes(data[:-1].replace(b"[4,", b"[5,", 1) + b",7]") == ContactRow(
        active=False,
        reason="complaint",
        since=5,
        counted_from=1,
        removed_at=4,
        consented_at=7,
        inbound=("cm:9",),
        removals=("cm:1:complaint",),
        stops=("*",),
        except_lists=("+1800",),
    )


PLACE = b"acme:+1800"
HELD = Held("complaint", 5, "evt_1", "evt_1", "cm", None, None, PLACE.decode(), "evt_no")


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (ContactRow(since=1), [size_label(PLACE)]),
        (ContactRow(since=1, active=False, reason="message"), []),
        (ContactRow(since=1, active=False, ruled=Ruled(600_000, "evt_yes")), [ruled_label(PLACE, "evt_yes", 2)]),
        (ContactRow(since=1, held=HELD), [size_label(PLACE), held_label(PLACE, "evt_no")]),
    ],
)
def test_a_row_is_counted_as_a_contact_as_removed_by_a_rule_and_as_held(row: ContactRow, labels: list[bytes]) -> None:
    assert list(labels_of(PLACE + b":+1555", to_bytes(row))) == labels
    assert list(labels_of(PLACE + b":anon_x", to_bytes(row))) == [ERASED]


@given(rows)
def test_what_holds_a_contact_is_told_by_the_end_of_its_row(row: ContactRow) -> None:
    found = [] if row.held is None else [holder(row.held.place.encode(), row.held.after)]
    assert list(holders_of(to_bytes(row))) == found


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_an_older_row_counts_as_a_contact(version: int) -> None:
    assert list(labels_of(PLACE + b":+1555", b"[%d,true,null,1" % version)) == [size_label(PLACE)]
    assert list(labels_of(PLACE + b":+1555", b"[%d,false,null,1" % version)) == []
