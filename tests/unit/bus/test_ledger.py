"""Admission in order, durability over the settled prefix."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.ledger import Ledger, OffsetVerdict, TopicPartition

TP = TopicPartition("t", 0)


def ledger(start: int = 10) -> Ledger:
    return Ledger(TP, start, generation=1)


@pytest.mark.parametrize(
    ("offset", "verdict"),
    [
        (10, OffsetVerdict.ADMIT),
        (9, OffsetVerdict.DUPLICATE),
        (0, OffsetVerdict.DUPLICATE),
        (11, OffsetVerdict.GAP),
        (500, OffsetVerdict.GAP),
    ],
)
def test_only_the_expected_offset_is_admitted(offset: int, verdict: OffsetVerdict) -> None:
    assert ledger().admit(offset) is verdict


def test_an_admitted_offset_makes_the_next_one_expected() -> None:
    book = ledger()
    book.admit(10)
    assert book.admit(10) is OffsetVerdict.DUPLICATE
    assert book.admit(11) is OffsetVerdict.ADMIT


def test_a_gap_changes_nothing() -> None:
    book = ledger()
    book.admit(12)
    assert (book.expected, book.durable) == (10, 10)


def test_durable_stops_before_the_first_unsettled_offset() -> None:
    book = ledger()
    for offset in (10, 11, 12, 13):
        book.admit(offset)
    for offset in (11, 13, 12):
        book.settle(offset)
    assert book.durable == 10
    book.settle(10)
    assert book.durable == 14


def test_settling_twice_changes_nothing() -> None:
    book = ledger()
    for offset in (10, 11):
        book.admit(offset)
    book.settle(10)
    book.settle(10)
    assert book.durable == 11


def test_a_jump_over_deleted_records_tells_how_many_are_gone() -> None:
    book = ledger()
    assert book.jump(25) == 15
    assert (book.expected, book.durable) == (25, 25)


def test_work_that_was_in_flight_when_the_log_was_cut_does_not_move_the_offset_back() -> None:
    book = ledger()
    book.admit(10)
    book.jump(25)
    book.settle(10)
    assert book.durable == 25


def test_an_offset_without_a_record_is_durable_once_those_before_it_are() -> None:
    book = ledger()
    for offset in (10, 11):
        book.admit(offset)
    book.pass_over(13)
    assert book.admit(13) is OffsetVerdict.ADMIT
    assert book.durable == 10
    book.settle_run(10, 11)
    assert book.durable == 13
    book.settle_run(13, 13)
    assert book.durable == 14


def test_an_offset_without_a_record_behind_all_that_is_durable_is_durable_at_once() -> None:
    book = ledger()
    book.pass_over(12)
    assert (book.expected, book.durable) == (12, 12)


def test_what_was_expected_already_is_not_passed_over() -> None:
    book = ledger()
    book.admit(10)
    book.pass_over(10)
    assert (book.expected, book.durable) == (11, 10)


@given(st.permutations(range(10, 40)))
def test_whatever_the_order_of_settling_durable_is_the_settled_prefix(order: list[int]) -> None:
    book = ledger()
    for offset in range(10, 40):
        book.admit(offset)
    settled: set[int] = set()
    for offset in order:
        book.settle(offset)
        settled.add(offset)
        prefix = next(o for o in range(10, 41) if o not in settled)
        assert book.durable == prefix


@given(st.sets(st.integers(10, 39)), st.randoms())
def test_whatever_offsets_have_records_durable_ends_before_the_first_unsettled_one(
    offsets: set[int], random: Random
) -> None:
    book, left = ledger(), set(offsets)
    for offset in sorted(offsets):
        book.pass_over(offset)
        book.admit(offset)
    book.pass_over(40)
    for offset in random.sample(sorted(offsets), len(offsets)):
        assert book.durable == min(left, default=40)
        book.settle(offset)
        left.remove(offset)
    assert book.durable == 40


@given(st.lists(st.integers(0, 60), max_size=200))
def test_whatever_arrives_every_admitted_offset_is_admitted_once_and_in_order(offsets: list[int]) -> None:
    book = ledger(5)
    admitted = [offset for offset in offsets if book.admit(offset) is OffsetVerdict.ADMIT]
    assert admitted == list(range(5, 5 + len(admitted)))
