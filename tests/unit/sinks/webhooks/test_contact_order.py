"""A deferred delivery is not overtaken by a later one of its contact, however many wait."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import DEFAULT_SCHEDULE
from sinks.webhooks import contact_order as rules
from sinks.webhooks.contact_order import GRACE_MS, Behind, slot_of
from sinks.webhooks.retry import crowded_out, placed, schedule_of

NOW, MINUTE = 1_000_000, 60_000


def of(contact: str) -> int:
    return slot_of(contact, "evt_1")


@pytest.mark.parametrize(
    ("contact", "later", "waits"),
    [
        ("+1", 0, True),
        ("+1", MINUTE + GRACE_MS, True),
        ("+1", MINUTE + GRACE_MS + 1, False),
        ("+2", 0, False),
    ],
    ids=["a new one", "until the first is due", "not for ever", "another contact"],
)
def test_who_waits_for_one_that_was_put_off(contact: str, later: int, waits: bool) -> None:
    behind = Behind()
    behind.put_off(of("+1"), behind.next_mark(NOW), NOW, NOW + MINUTE)
    assert behind.must_wait(of(contact), None, NOW + later) is waits


def test_nobody_waits_for_one_that_has_come_back() -> None:
    behind = Behind()
    mark = behind.next_mark(NOW)
    behind.put_off(of("+1"), mark, NOW, NOW + MINUTE)
    assert not behind.must_wait(of("+1"), mark, NOW + MINUTE)
    behind.passed(of("+1"), mark)
    assert not behind.must_wait(of("+1"), None, NOW + MINUTE)
    assert not behind


def test_one_that_comes_back_waits_for_an_earlier_one_that_was_put_off_again_and_not_for_a_later_one() -> None:
    behind = Behind()
    first, second, third = (behind.next_mark(NOW) for _ in range(3))
    for mark in (first, second, third):
        behind.put_off(of("+1"), mark, NOW, NOW + MINUTE)
    behind.put_off(of("+1"), first, NOW + MINUTE, NOW + 2 * MINUTE)
    assert behind.must_wait(of("+1"), second, NOW + MINUTE)
    assert not behind.must_wait(of("+1"), first, NOW + 2 * MINUTE)


def test_a_contact_with_an_event_a_minute_is_late_but_never_out_of_order() -> None:
    behind, now = Behind(), NOW
    for _ in range(60):
        behind.put_off(of("+1"), behind.next_mark(now), now, now + MINUTE)
        now += MINUTE - 1
        assert behind.must_wait(of("+1"), None, now)


def test_of_very_many_contacts_some_wait_for_each_other_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "FEW", 1)
    monkeypatch.setattr(rules, "SHARED", 2)
    behind, marks = Behind(), [NOW, NOW + 1, NOW + 2]
    for number, mark in zip((10, 11, 13), marks, strict=True):
        behind.put_off(number, mark, NOW, NOW + MINUTE)
    assert [number for number in (10, 11, 12, 13, 15) if behind.must_wait(number, None, NOW)] == [10, 11, 13, 15]
    assert behind.must_wait(13, marks[2], NOW)
    behind.passed(11, marks[1])
    assert not behind.must_wait(13, marks[2], NOW)


def test_beyond_what_is_remembered_deliveries_go_on_and_may_be_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 2)
    behind = Behind()
    marks = {f"+{number}": behind.next_mark(NOW) for number in range(3)}
    for contact, mark in marks.items():
        behind.put_off(of(contact), mark, NOW, NOW + MINUTE)
    assert [contact for contact in marks if behind.must_wait(of(contact), None, NOW)] == ["+0", "+1"]
    for contact, mark in marks.items():
        behind.passed(of(contact), mark)
    assert not behind


def test_those_ahead_are_counted_by_the_second_of_their_marks() -> None:
    behind = Behind()
    for number in range(30):
        now = NOW + number * 100
        behind.put_off(of(f"+{number}"), behind.next_mark(now), now, now + MINUTE)
    late = NOW + 5_000
    assert [behind.ahead(mark, late) for mark in (NOW, NOW + 1_000, NOW + 2_900, None)] == [0, 10, 20, 30]
    behind.passed(of("+0"), NOW)
    assert behind.ahead(None, late) == 29
    assert behind.ahead(NOW + 1_000, late) == 10  # a second ago
    assert behind.ahead(NOW + 1_000, late + 1_000) == 9
    assert behind.ahead(None, NOW + 2_900 + MINUTE + GRACE_MS) == 10
    assert behind.ahead(None, NOW + 2_900 + MINUTE + GRACE_MS + 1_000) == 0


def test_what_keeps_no_order_is_counted_and_nobody_waits_for_it() -> None:
    behind, mark = Behind(), NOW
    behind.put_off(slot_of(None, "evt_1"), mark, NOW, NOW + MINUTE)
    assert behind.ahead(None, NOW) == 1
    assert not any(behind.must_wait(slot_of(f"+{number}", "evt_2"), None, NOW) for number in range(1_000))
    behind.passed(slot_of(None, "evt_1"), mark)
    assert behind.ahead(None, NOW) == 0
    assert not behind


def test_only_those_that_share_a_rate_are_ahead() -> None:
    behind = Behind()
    for number, limited in enumerate(["+18005551234", None, "+18005551234"]):
        behind.put_off(of(f"+{number}"), behind.next_mark(NOW), NOW, NOW + MINUTE, limited)
    assert behind.ahead(None, NOW) == 1
    assert behind.ahead(None, NOW, "+18005551234") == 2
    assert behind.ahead(None, NOW, "+18005555678") == 0


def test_what_another_process_took_does_not_stay_in_memory() -> None:
    behind = Behind()
    for number in range(30):
        behind.put_off(of(f"+{number}"), behind.next_mark(NOW), NOW, NOW + MINUTE)
    for _ in range(100):
        behind.must_wait(of("+99"), None, NOW + MINUTE + GRACE_MS + 1)
    assert not behind


@dataclass(order=True)
class Waiting:
    due_at: int
    number: int
    contact: str
    mark: int


@given(
    events=st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abcde")), min_size=1, max_size=80),
    room=st.lists(st.integers(0, 3), max_size=200),
    delays=st.lists(st.sampled_from([10_000, 27_000, 60_000]), min_size=1, max_size=200),
    few=st.integers(0, 6),
    shared=st.integers(1, 3),
)
def test_whatever_room_there_is_each_contact_s_deliveries_go_in_order_and_all_go(
    events: list[tuple[int, str]], room: list[int], delays: list[int], few: int, shared: int
) -> None:
    behind, topic, sent = Behind(), list[Waiting](), list[tuple[str, int]]()
    was, (rules.FEW, rules.SHARED) = (rules.FEW, rules.SHARED), (few, shared)
    rooms, waits, now, left = iter(room), cycle(delays), NOW, 0

    def offer(number: int, contact: str, mark: int | None) -> None:
        nonlocal left
        if left > 0 and not behind.must_wait(of(contact), mark, now):
            left -= 1
            sent.append((contact, number))
            if mark is not None:
                behind.passed(of(contact), mark)
            return
        mark = behind.next_mark(now) if mark is None else mark
        due_at = now + next(waits)
        behind.put_off(of(contact), mark, now, due_at)
        heappush(topic, Waiting(due_at, number, contact, mark))

    try:
        for number, (pause, contact) in enumerate(events):
            now += pause
            left = next(rooms, 2)
            while topic and topic[0].due_at <= now:
                due = heappop(topic)
                offer(due.number, due.contact, due.mark)
            offer(number, contact, None)
        rounds = 0
        while topic:
            due = heappop(topic)
            now, left = max(now, due.due_at), next(rooms, 2)
            offer(due.number, due.contact, due.mark)
            rounds += 1
            assert rounds < 40_000, "something waits for ever"
    finally:
        rules.FEW, rules.SHARED = was
    for name in "abcde":
        assert [n for c, n in sent if c == name] == [n for n, (_, c) in enumerate(events) if c == name]
    assert not behind


def test_a_backlog_is_worked_off_as_fast_as_the_endpoint_takes_it() -> None:
    behind, topic, schedule = Behind(), list[Waiting](), schedule_of(DEFAULT_SCHEDULE)
    rate, arriving, burst = 10, 50, 200  # a second, a second, seconds
    now, queued, taken, times_put_off = NOW, 0, 0, 0

    def offer(number: int, contact: str, mark: int | None) -> None:
        nonlocal queued, taken, times_put_off
        if queued < 60 * rate and not behind.must_wait(of(contact), mark, now):
            queued, taken = queued + 1, taken + 1
            if mark is not None:
                behind.passed(of(contact), mark)
            return
        step = crowded_out(1, schedule, 1_000 * (queued + behind.ahead(mark, now)) / rate)
        mark = behind.next_mark(now) if mark is None else mark
        due_at = now + placed(step, contact, partitions=12)[1]
        behind.put_off(of(contact), mark, now, due_at)
        heappush(topic, Waiting(due_at, number, contact, mark))
        times_put_off += 1

    for second in range(2 * arriving * burst // rate):
        now, queued = now + 1_000, max(0, queued - rate)
        while topic and topic[0].due_at <= now:
            due = heappop(topic)
            offer(due.number, due.contact, due.mark)
        for number in range(arriving if second < burst else 0):
            offer(number, f"+{second * arriving + number % 700}", None)
        if taken == arriving * burst:
            break
    assert taken == arriving * burst
    assert second + queued / rate < 1.1 * arriving * burst / rate
    assert times_put_off < 5 * taken
