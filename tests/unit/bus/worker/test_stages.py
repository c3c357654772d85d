"""When a worker reports that it is stuck: each stage by itself, and partitions that nobody reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import bus.worker.stages
from bus.health import Health
from bus.ledger import TopicPartition
from bus.worker.stages import Stages

NORMALIZE, CONTACTS = frozenset({"raw"}), frozenset({"receipts", "inbound"})
RAW, RECEIPTS, INBOUND = TopicPartition("raw", 0), TopicPartition("receipts", 0), TopicPartition("inbound", 0)


class Seen:
    """Stages, and a clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(bus.worker.stages, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.health = Health("tests")
        self.health.ready = True
        self.stages = Stages(self.health)

    def after(self, seconds: float, **progress: tuple[int, int]) -> list[str]:
        """Return the problem some seconds later, if partitions are then in this state (lag, durable)."""
        self.now += seconds
        places = {"raw": RAW, "receipts": RECEIPTS, "inbound": INBOUND}
        self.stages.note({places[name]: found for name, found in progress.items()}, {NORMALIZE, CONTACTS})
        self.stages._looked_at = self.now
        return self.health.problems()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def test_a_stage_that_does_not_move_is_told_though_another_one_does(seen: Seen) -> None:
    assert seen.after(0, raw=(5, 10), receipts=(5, 10)) == []
    assert seen.after(5, raw=(5, 20), receipts=(6, 10)) == []
    assert seen.after(5, raw=(5, 30), receipts=(7, 10), inbound=(1, 0)) == [
        "8 records of inbound, receipts are waiting, and there was no progress for 10 s"
    ]
    assert seen.after(5, raw=(5, 40), receipts=(7, 11), inbound=(1, 0)) == []


def test_a_stage_without_anything_to_do_stands_still_for_ever(seen: Seen) -> None:
    for _ in range(10):
        assert seen.after(60, raw=(0, 10)) == []
    assert seen.after(5, raw=(1, 10)) == []
    assert seen.stages.lag == 1


def test_a_worker_whose_looks_do_not_come_through_says_so_within_15_seconds(seen: Seen) -> None:
    assert seen.after(0, raw=(0, 10)) == []
    seen.now += 14.9
    assert seen.health.problems() == []
    seen.now += 0.1
    assert seen.health.problems() == ["Kafka has not answered for 15 s"]


def test_partitions_that_nobody_reads_are_told_and_asked_for_once_they_do_not_just_change_hands(seen: Seen) -> None:
    seen.after(0)
    new = [TopicPartition("raw", 4), TopicPartition("raw", 5)]
    asked: list[Any] = []
    for _ in range(9):
        asked.append(seen.stages.note_nobodys(new))
        told = seen.after(5)
    assert told == ["nobody reads 2 partitions, such as raw[4]"]
    assert asked == [False, True, False, False, False, False, False, True, False]
    seen.stages.note_nobodys([])
    assert seen.after(0) == []


def test_what_retention_deleted_unread_is_told_for_two_minutes(seen: Seen) -> None:
    seen.after(0)
    seen.stages._skipped_at = seen.now
    (told,) = seen.after(5)
    assert told.startswith("retention has deleted unread records")
    assert seen.after(116) == []


def test_the_age_of_what_waits_is_told_by_stage_of_what_lies_here_and_of_what_is_still_on_the_broker(
    seen: Seen,
) -> None:
    seen.stages.name(NORMALIZE, "normalize")
    seen.stages.name(CONTACTS, "contacts")
    assert seen.stages.oldest({}) == {("normalize",): 0.0, ("contacts",): 0.0}
    seen.after(0, raw=(5, 10), receipts=(0, 10))
    seen.after(7, raw=(5, 10), receipts=(0, 10))
    assert seen.stages.oldest({CONTACTS: 2.5}) == {("normalize",): 7.0, ("contacts",): 2.5}
    assert seen.stages.lags() == {("normalize",): 5, ("contacts",): 0}
