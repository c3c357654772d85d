"""Rows that wait are found again in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.alarms import SLOT_BYTES, SLOTS, clear_alarm, due_alarms, set_alarm

PARTITION = 3


class Rows:
    """A table's rows in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, bytes], bytes] = {}
        self.writes = 0

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.rows.get((partition, key))

    def put(self, partition: int, key: bytes, value: bytes) -> None:
        self.rows[partition, key] = value
        self.writes += 1


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_alarms_come_when_they_are_due_the_earliest_first(rows: Rows) -> None:
    for key, due_at in [(b"late", 30), (b"early", 10), (b"middle", 20)]:
        assert set_alarm(rows, PARTITION, key, due_at)
    assert due_alarms(rows, PARTITION, 9) == []
    assert due_alarms(rows, PARTITION, 20) == [b"early", b"middle"]
    assert due_alarms(rows, PARTITION, 99) == [b"early", b"middle", b"late"]


def test_partitions_have_alarms_of_their_own(rows: Rows) -> None:
    set_alarm(rows, PARTITION, b"k", 10)
    assert due_alarms(rows, PARTITION + 1, 99) == []


def test_an_earlier_time_stays_and_costs_no_write(rows: Rows) -> None:
    set_alarm(rows, PARTITION, b"k", 10)
    set_alarm(rows, PARTITION, b"k", 20)
    assert rows.writes == 1
    assert due_alarms(rows, PARTITION, 10) == [b"k"]


def test_an_earlier_time_replaces_a_later_one(rows: Rows) -> None:
    set_alarm(rows, PARTITION, b"k", 20)
    set_alarm(rows, PARTITION, b"k", 10)
    assert due_alarms(rows, PARTITION, 10) == [b"k"]


def test_a_cleared_alarm_does_not_come(rows: Rows) -> None:
    set_alarm(rows, PARTITION, b"k", 10)
    clear_alarm(rows, PARTITION, b"k")
    clear_alarm(rows, PARTITION, b"unknown")
    assert due_alarms(rows, PARTITION, 99) == []
    assert rows.writes == 2


@given(st.dictionaries(st.binary(max_size=40), st.integers(0, 100), max_size=40), st.integers(0, 100))
def test_any_key_comes_back_as_it_was(alarms: dict[bytes, int], now: int) -> None:
    rows = Rows()
    for key, due_at in alarms.items():
        set_alarm(rows, PARTITION, key, due_at)
    assert sorted(due_alarms(rows, PARTITION, now)) == sorted(key for key, due_at in alarms.items() if due_at <= now)


def test_slots_are_bounded(rows: Rows) -> None:
    kept = sum(set_alarm(rows, PARTITION, b"click-%d" % number + b"\xff" * 200, 10) for number in range(20_000))
    assert len(rows.rows) == SLOTS
    assert max(map(len, rows.rows.values())) <= SLOT_BYTES
    assert len(due_alarms(rows, PARTITION, 10)) == kept < 20_000


def test_a_known_alarm_finds_room_in_a_full_slot(rows: Rows) -> None:
    keys = [b"click-%d" % number + b"\xff" * 200 for number in range(20_000)]
    kept = [key for key in keys if set_alarm(rows, PARTITION, key, 20)]
    assert set_alarm(rows, PARTITION, kept[0], 10)
    assert due_alarms(rows, PARTITION, 10) == kept[:1]
