"""Bursts: what is sent at once, what is sent together, and that nothing is forgotten."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.alerts import TYPES
from sinks.alerts.bursts import GATHER, MOST_REASONS, OTHERS, TOP, WINDOW, Burst, Bursts
from sinks.alerts.rules import Alert


def alert(reason: str = "EXPIRED", **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "event_id": "evt_1",
        "account": "acme",
        "type": "delivery_failures",
        "title": "A message was not delivered",
        "facts": {"Reason": reason},
    }
    return Alert(reason=reason, **(values | changes))


def told(bursts: Bursts, now: float) -> list[tuple[str, dict[str, str]]]:
    return [(burst.title, burst.facts) for burst in bursts.due(now)]


def test_the_first_of_a_quiet_time_is_told_after_a_short_gather_with_its_facts() -> None:
    bursts = Bursts()
    bursts.add(alert(), 100.0, 0)
    assert told(bursts, 100.0 + GATHER - 0.1) == []
    assert told(bursts, 100.0 + GATHER) == [("A message was not delivered", {"Reason": "EXPIRED"})]
    assert told(bursts, 100.0 + GATHER) == []


def test_what_comes_with_the_first_is_told_with_it() -> None:
    bursts = Bursts()
    for reason in ("EXPIRED", "REJECTED_OPERATOR", "EXPIRED"):
        bursts.add(alert(reason), 0.0, 0)
    assert told(bursts, GATHER) == [("3 delivery failures just now", {"Reasons": "2 EXPIRED, 1 REJECTED_OPERATOR"})]


@pytest.mark.parametrize("kind", TYPES)
def test_many_of_a_type_are_told_in_a_phrase_that_a_number_can_begin(kind: str) -> None:
    bursts = Bursts()
    for _ in range(2):
        bursts.add(alert(type=kind), 0.0, 0)
    ((title, _),) = told(bursts, GATHER)
    assert re.fullmatch("2 [a-z][a-z -]+ just now", title)


def test_a_burst_is_told_once_a_minute_with_its_count_and_the_commonest_reasons() -> None:
    bursts = Bursts()
    bursts.add(alert(), 0.0, 0)
    told(bursts, GATHER)
    for number in range(412):
        bursts.add(alert("REJECTED_ABSENT_SUBSCRIBER" if number < 300 else f"OTHER_{number % 8}"), GATHER + 1, 0)
    assert told(bursts, GATHER + WINDOW - 0.1) == []
    [(title, facts)] = told(bursts, GATHER + WINDOW)
    assert title == "412 delivery failures in the last minute"
    assert facts["Reasons"].startswith("300 REJECTED_ABSENT_SUBSCRIBER, 14 OTHER_")
    assert facts["Reasons"].endswith(f"{14 * (8 - TOP + 1)} {OTHERS}")


def test_a_single_one_that_comes_within_the_minute_is_told_with_its_facts() -> None:
    bursts = Bursts()
    bursts.add(alert("A"), 0.0, 0)
    told(bursts, GATHER)
    bursts.add(alert("B"), GATHER + 1, 0)
    assert told(bursts, GATHER + WINDOW) == [("A message was not delivered", {"Reason": "B"})]


def test_after_a_quiet_minute_the_next_one_is_told_soon_again_and_nothing_is_held() -> None:
    bursts = Bursts()
    bursts.add(alert(), 0.0, 0)
    told(bursts, GATHER)
    told(bursts, GATHER + WINDOW)
    assert len(bursts) == 0
    bursts.add(alert(), 500.0, 0)
    assert len(told(bursts, 500.0 + GATHER)) == 1


def test_accounts_and_types_are_told_apart() -> None:
    bursts = Bursts()
    for each in (alert(), alert(account="other"), alert(type="billing")):
        bursts.add(each, 0.0, 0)
    assert [burst.count for burst in bursts.due(GATHER)] == [1, 1, 1]


def test_reasons_beyond_a_bound_are_counted_as_one() -> None:
    burst = Burst(alert(), 0, 0)
    for number in range(MOST_REASONS * 3):
        burst.add(alert(f"reason {number}"))
    assert len(burst.reasons) == MOST_REASONS + 1
    assert burst.reasons.total() == burst.count == MOST_REASONS * 3


def test_the_oldest_mark_is_that_of_what_was_not_told_yet() -> None:
    bursts = Bursts()
    assert bursts.oldest_mark() is None
    bursts.add(alert(), 0.0, 0, mark=4)
    bursts.add(alert(), 1.0, 0, mark=5)
    bursts.add(alert(account="other"), 1.0, 0, mark=5)
    assert bursts.oldest_mark() == 4
    list(bursts.due(GATHER))
    assert bursts.oldest_mark() == 5
    assert [burst.mark for burst in bursts.all()] == [5]
    assert bursts.oldest_mark() is None


KEYS = st.tuples(st.sampled_from(["acme", "other"]), st.sampled_from(["delivery_failures", "billing"]))


@given(st.lists(st.tuples(st.floats(0, 200), KEYS, st.text(max_size=3)), max_size=200), st.floats(0.1, 10))
def test_counts_that_are_told_add_up_and_come_once_a_minute(
    happened: list[tuple[float, tuple[str, str], str]], step: float
) -> None:
    bursts = Bursts()
    waiting = sorted(happened, key=lambda each: each[0])
    given_out: dict[tuple[str, str], list[tuple[float, int]]] = {}
    now = 0.0
    while waiting or len(bursts):
        now += step
        while waiting and waiting[0][0] <= now:
            _, (account, kind), reason = waiting.pop(0)
            bursts.add(alert(reason, account=account, type=kind), now, 0)
        for burst in bursts.due(now):
            assert burst.reasons.total() == burst.count
            given_out.setdefault((burst.first.account, burst.first.type), []).append((now, burst.count))
    expected = Counter(key for _, key, _ in happened)
    assert {key: sum(count for _, count in told) for key, told in given_out.items()} == expected
    for all_told in given_out.values():
        times = [at for at, _ in all_told]
        assert all(later >= earlier + WINDOW for earlier, later in pairwise(times))
