"""The row of a click, and its bytes in the table."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Postback
from streams.click_row import (
    FORMAT,
    Arrived,
    ClickRow,
    Registration,
    SeenConversion,
    due_at,
    from_bytes,
    is_kept,
    to_bytes,
)
from streams.conversions import MAX_CONVERSIONS, MAX_REGISTRATIONS, MAX_WAITING
from streams.row import RowError
from tests.unit.streams.click_records import WAIT, arrived, postback

text = st.text(max_size=20)
times = st.integers(0, 2**53)
postbacks = st.builds(
    Postback,
    event_id=text,
    network=text,
    account=st.none() | text,
    click_id=text,
    type=text,
    payout=st.none() | text,
    currency=st.none() | text,
    external_id=st.none() | text,
    goal=st.none() | text,
    parameters=st.dictionaries(text, text, max_size=3),
    remote_ip=st.none() | text,
    received_at=times,
)
rows = st.builds(
    ClickRow,
    registrations=st.lists(st.builds(Registration, text, text, text, text, times), max_size=3).map(tuple),
    conversions=st.lists(st.builds(SeenConversion, text, times), max_size=3).map(tuple),
    waiting=st.lists(st.builds(Arrived, postbacks, times, times, st.none() | text), max_size=3).map(tuple),
)


@given(rows)
def test_what_is_written_is_read(row: ClickRow) -> None:
    assert from_bytes(to_bytes(row)) == row


@given(st.binary(max_size=60) | rows.map(to_bytes).map(lambda data: data[:-3]))
def test_what_is_no_row_is_a_row_error(data: bytes) -> None:
    with pytest.raises(RowError):
        from_bytes(data)


def test_a_row_of_another_format_is_named() -> None:
    with pytest.raises(RowError, match=f"format {FORMAT + 1} is unknown"):
        from_bytes(orjson.dumps([FORMAT + 1, [], [], []]))


def test_a_row_from_before_a_field_was_added_reads() -> None:
    data = orjson.loads(to_bytes(ClickRow(waiting=(arrived(postback()),))))
    del data[3][0][0]["goal"]
    assert from_bytes(orjson.dumps(data)).waiting[0].postback == postback()


def test_a_click_was_heard_of_with_its_newest_record() -> None:
    registrations = (Registration("acme", "m-1", "+1", "+2", 5),)
    assert ClickRow().newest == 0
    assert ClickRow(registrations=registrations).newest == 5
    assert ClickRow(registrations=registrations, conversions=(SeenConversion("k", 9),)).newest == 9
    assert ClickRow(registrations=registrations, waiting=(arrived(postback(number=3)),)).newest == 1_003


def test_a_row_is_due_with_the_first_of_its_postbacks() -> None:
    row = ClickRow(waiting=(arrived(postback(1), at=5), arrived(postback(2), at=3)))
    assert due_at(to_bytes(row)) == 3 + WAIT
    assert due_at(to_bytes(ClickRow())) is None
    assert due_at(b"of another version") is None


def test_a_row_is_kept_while_it_was_heard_of() -> None:
    data = to_bytes(ClickRow(conversions=(SeenConversion("k", 9),)))
    assert (is_kept(data, oldest=9), is_kept(data, oldest=10)) == (True, False)
    assert is_kept(b"of another version", oldest=10)


def test_the_largest_row_fits_its_changelog() -> None:
    wide = postback(external_id="\x00" * 256, goal="\x00" * 256, parameters={"x": "\x00" * (8 << 10)})
    row = ClickRow(
        registrations=(Registration("a" * 64, "m" * 8_000, "+15550001111", "l" * 8_000, 1),) * MAX_REGISTRATIONS,
        conversions=(SeenConversion("evt_" + "k" * 26, 2**53),) * MAX_CONVERSIONS,
        waiting=(arrived(wide),) * MAX_WAITING,
    )
    assert len(to_bytes(row)) < 1 << 20
