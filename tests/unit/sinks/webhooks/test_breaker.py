from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.breaker import FAILURES, FIRST_REST, LONGEST_REST, Breaker, State


def opened(at: float = 0.0, longest_rest: float = LONGEST_REST) -> Breaker:
    breaker = Breaker(longest_rest)
    for _ in range(FAILURES):
        breaker.record(True, at)
    assert breaker.state is State.OPEN
    return breaker


def rest(breaker: Breaker, start: float) -> float:
    """Return how long an open breaker allows no probe, in tenths of a second."""
    tenths = 0
    while not breaker.take_probe(start + tenths / 10):
        tenths += 1
    return tenths / 10


def test_failures_in_a_row_open_it_and_it_says_so_once() -> None:
    breaker = Breaker()
    assert [breaker.record(True, 0.0) for _ in range(FAILURES + 2)] == [False] * (FAILURES - 1) + [True, False, False]


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.record(True, 0.0)
        breaker.record(False, 0.0)
    assert breaker.closed


def test_one_probe_is_given_after_the_rest() -> None:
    breaker = opened(at=100.0)
    assert not breaker.take_probe(100.0 + FIRST_REST - 0.1)
    assert breaker.take_probe(100.0 + FIRST_REST)
    assert not breaker.take_probe(100.0 + FIRST_REST)
    assert breaker.state is State.PROBING


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = opened()
    breaker.take_probe(FIRST_REST)
    assert not breaker.record(False, FIRST_REST, probe=True)
    assert breaker.closed


def test_each_probe_that_fails_doubles_the_rest_up_to_a_minute() -> None:
    breaker, now, rests = opened(), 0.0, []
    for _ in range(6):
        rests.append(rest(breaker, now))
        now += rests[-1]
        assert breaker.record(True, now, probe=True)
    assert rests == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_the_rest_is_never_longer_than_allowed() -> None:
    breaker = opened(longest_rest=2.0)
    assert rest(breaker, 0.0) == 1.0
    breaker.record(True, 1.0, probe=True)
    assert rest(breaker, 1.0) == 2.0


def test_after_it_closed_the_first_rest_is_short_again() -> None:
    breaker = opened()
    for _ in range(3):
        breaker.take_probe(1_000.0)
        breaker.record(True, 0.0, probe=True)
    breaker.take_probe(1_000.0)
    breaker.record(False, 1_000.0, probe=True)
    for _ in range(FAILURES):
        breaker.record(True, 1_000.0)
    assert rest(breaker, 1_000.0) == FIRST_REST


def test_attempts_from_before_it_opened_decide_nothing() -> None:
    breaker = opened()
    breaker.record(False, 1.0)
    breaker.record(True, 1.0)
    assert breaker.state is State.OPEN
    assert rest(breaker, 0.0) == FIRST_REST
    breaker.record(False, 5.0)
    assert not breaker.closed


def test_a_probe_that_was_not_sent_can_be_taken_at_once() -> None:
    breaker = opened()
    breaker.take_probe(FIRST_REST)
    breaker.return_probe()
    assert breaker.take_probe(FIRST_REST)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100))))
def test_it_always_gives_a_probe_again_after_the_longest_rest(attempts: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for failed, pause in attempts:
        now += pause
        if breaker.closed or breaker.take_probe(now):
            breaker.record(failed, now, probe=not breaker.closed)
    assert breaker.closed or breaker.take_probe(now + LONGEST_REST)
