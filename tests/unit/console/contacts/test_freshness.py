"""The moment up to which everything has passed through is never ahead of the truth, and advances at rest."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bus.clock import Moment
from console.contacts.freshness import MAX_MARKS, STAGES, Freshness, Offsets, Stage
from streams.app import CONTACT_INPUTS
from tests.examples import examples

NOTHING: tuple[Offsets, ...] = ({}, {}, {})


def moment(at: float) -> Moment:
    return Moment(at, int(at * 1000))


def test_the_stages_are_those_of_streams() -> None:
    # Clicks change no state of a contact.
    assert set(CONTACT_INPUTS) - {"clicks"} == set(STAGES[1])


def test_at_rest_a_moment_comes_through_with_the_look_that_marks_it() -> None:
    freshness = Freshness()
    for at in range(10):
        freshness.look(moment(at), {}, NOTHING)
        assert freshness.as_of == moment(at)


def test_on_its_way_a_moment_comes_through_stage_by_stage() -> None:
    freshness = Freshness()
    ends = ({("raw", 0): 1}, {("receipts", 0): 1}, {("contacts", 0): 1})
    read: dict[tuple[str, int], int] = {}
    for at, place in enumerate((None, ("raw", 0), ("receipts", 0))):
        read |= {} if place is None else {place: 1}
        freshness.look(moment(at), read, ends)
        assert freshness.as_of is None
    freshness.look(moment(3), read | {("contacts", 0): 1}, ends)
    assert freshness.as_of == moment(3)


def test_partitions_without_records_need_not_be_read() -> None:
    freshness = Freshness()
    for at in range(4):
        freshness.look(moment(at), {}, ({("raw", 0): 0}, {}, {}))
    assert freshness.as_of == moment(3)


def test_a_stage_that_stands_still_lets_no_later_moment_through() -> None:
    freshness = Freshness()
    for at in range(4):
        freshness.look(moment(at), {("raw", 0): 7}, ({("raw", 0): 7}, {}, {}))
    assert freshness.as_of == moment(3)
    for at in range(4, 100):
        freshness.look(moment(at), {("raw", 0): 7}, ({("raw", 0): 8}, {}, {}))
    # Moments 1 to 3 were marked before the eighth record was there.
    assert freshness.as_of == moment(3)


def test_one_partition_that_is_behind_is_enough() -> None:
    stage = Stage()
    stage.mark(moment(1), {("raw", 0): 5, ("raw", 1): 5})
    stage.advance({("raw", 0): 9, ("raw", 1): 4})
    assert stage.passed is None
    stage.advance({("raw", 0): 9, ("raw", 1): 5})
    assert stage.passed == moment(1)


def test_marks_are_bounded_and_a_stage_that_catches_up_goes_on() -> None:
    stage = Stage()
    for at in range(3 * MAX_MARKS):
        stage.mark(moment(at), {("raw", 0): at + 1})
    stage.advance({("raw", 0): 10**9})
    assert stage.passed == moment(MAX_MARKS - 1)
    stage.mark(moment(10**6), {("raw", 0): 10**9})
    stage.advance({("raw", 0): 10**9})
    assert stage.passed == moment(10**6)


@pytest.mark.parametrize(
    ("monotonic", "millis", "seconds"),
    [
        (5.0, 5_000, 5.0),
        (5.0, 3_600_000, 3_600.0),  # the machine slept, or the clock was set forward
        (5.0, -3_600_000, 5.0),  # the clock was set back
    ],
)
def test_an_age_is_what_the_clock_says_that_says_longer(monotonic: float, millis: int, seconds: float) -> None:
    assert Moment(0.0, 0).seconds_until(Moment(monotonic, millis)) == seconds


class Pipeline(RuleBasedStateMachine):
    """Records go through two partitions of each stage at any pace; workers die and repeat what was not committed.

    An observation is not atomic: the read offsets, the moment, and the ends are taken one after the other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0
        self.written: dict[int, int] = {}
        """Time of writing by origin."""
        self.logs: list[list[list[int]]] = [[[], []] for _ in STAGES]
        """Origins of the records of each stage's two partitions."""
        self.read: list[list[int]] = [[0, 0] for _ in STAGES]
        self.committed: list[list[int]] = [[0, 0] for _ in STAGES]
        self.freshness = Freshness()
        self.taken: tuple[Offsets, Moment | None] = ({}, None)

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    @rule(stage=st.sampled_from([0, 1]), partition=st.integers(0, 1))
    def write(self, stage: int, partition: int) -> None:
        """Write a callback into the first stage, a command into the second."""
        origin = self.tick()
        self.written[origin] = origin
        self.logs[stage][partition].append(origin)

    @rule(stage=st.sampled_from([0, 1]), partition=st.integers(0, 1), to=st.integers(0, 1))
    def work(self, stage: int, partition: int, to: int) -> None:
        at = self.read[stage][partition]
        if at < len(self.logs[stage][partition]):
            self.logs[stage + 1][to].append(self.logs[stage][partition][at])
            self.read[stage][partition] += 1

    @rule(stage=st.sampled_from([0, 1]), partition=st.integers(0, 1))
    def commit(self, stage: int, partition: int) -> None:
        self.committed[stage][partition] = self.read[stage][partition]

    @rule()
    def worker_dies(self) -> None:
        self.read[:2] = [list(offsets) for offsets in self.committed[:2]]

    @rule(partition=st.integers(0, 1))
    def copy(self, partition: int) -> None:
        if self.committed[2][partition] < len(self.logs[2][partition]):
            self.committed[2][partition] += 1

    @rule()
    def take_what_was_read(self) -> None:
        self.taken = (self.offsets(self.committed), None)

    @rule()
    def take_the_moment(self) -> None:
        if self.taken[1] is None:
            self.taken = (self.taken[0], moment(self.tick()))

    @rule()
    def take_the_ends(self) -> None:
        read, now = self.taken
        if now is not None:
            ends = self.offsets([[len(partition) for partition in stage] for stage in self.logs])
            self.freshness.look(
                now, read, tuple({at: ends[at] for at in ends if at[0] == str(n)} for n in range(len(STAGES)))
            )
            self.taken = ({}, None)

    @staticmethod
    def offsets(stages: list[list[int]]) -> Offsets:
        return {(str(number), p): at for number, stage in enumerate(stages) for p, at in enumerate(stage)}

    @invariant()
    def what_was_written_before_the_moment_is_in_the_copy(self) -> None:
        as_of = self.freshness.as_of
        if as_of is not None:
            copied = Counter(
                origin for partition in (0, 1) for origin in self.logs[2][partition][: self.committed[2][partition]]
            )
            assert not [origin for origin, at in self.written.items() if at < as_of.monotonic and not copied[origin]]


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(max_examples=examples(300), stateful_step_count=80)
