"""A deferred delivery is not overtaken by a later one of its contact, however many wait."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks import contact_order as rules
from sinks.webhooks.contact_order import GRACE_MS, Behind

NOW, MINUTE = 1_000_000, 60_000


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
    behind.put_off("+1", behind.next_mark(NOW), NOW, NOW + MINUTE)
    assert behind.must_wait(contact, None, NOW + later) is waits


def test_nobody_waits_for_one_that_has_come_back() -> None:
    behind = Behind()
    mark = behind.next_mark(NOW)
    behind.put_off("+1", mark, NOW, NOW + MINUTE)
    assert not behind.must_wait("+1", mark, NOW + MINUTE)
    behind.passed("+1", mark, NOW + MINUTE)
    assert not behind.must_wait("+1", None, NOW + MINUTE)
    assert not behind


def test_one_that_comes_back_waits_for_an_earlier_one_that_was_put_off_again_and_not_for_a_later_one() -> None:
    behind = Behind()
    first, second, third = (behind.next_mark(NOW) for _ in range(3))
    for mark in (first, second, third):
        behind.put_off("+1", mark, NOW, NOW + MINUTE)
    behind.put_off("+1", first, NOW + MINUTE, NOW + 2 * MINUTE, again=True)
    assert behind.must_wait("+1", second, NOW + MINUTE)
    assert not behind.must_wait("+1", first, NOW + 2 * MINUTE)


def test_a_contact_with_an_event_a_minute_is_late_but_never_out_of_order() -> None:
    behind, now = Behind(), NOW
    for _ in range(60):
        behind.put_off("+1", behind.next_mark(now), now, now + MINUTE)
        now += MINUTE - 1
        assert behind.must_wait("+1", None, now)


def crowd(behind: Behind, contacts: int = 5) -> dict[str, int]:
    """Put off one delivery each of some contacts, and return their marks."""
    marks = {f"+{number}": behind.next_mark(NOW + number) for number in range(contacts)}
    for contact, mark in marks.items():
        behind.put_off(contact, mark, NOW, NOW + MINUTE)
    return marks


def test_beyond_what_is_remembered_contacts_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 3)
    behind = Behind()
    marks = crowd(behind)
    assert all(behind.must_wait(contact, None, NOW) for contact in marks)
    behind.passed("+3", marks["+3"], NOW + MINUTE)
    assert behind.must_wait("+3", None, NOW + MINUTE)
    for contact, mark in marks.items():
        assert not behind.must_wait(contact, mark, NOW + MINUTE)
        if contact != "+3":
            behind.passed(contact, mark, NOW + MINUTE)
    assert not behind


def test_a_contact_without_any_in_the_crowd_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 3)
    behind = Behind()
    crowd(behind)
    assert not behind.must_wait("+99", None, NOW)


def test_a_contact_of_the_crowd_does_not_wait_for_those_that_joined_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 3)
    behind = Behind()
    marks = crowd(behind)
    later = behind.next_mark(NOW + 5_000)
    behind.put_off("+99", later, NOW + 5_000, NOW + 5_000 + MINUTE)
    for contact, mark in marks.items():
        behind.passed(contact, mark, NOW + MINUTE)
    assert not behind.must_wait("+4", None, NOW + MINUTE)
    assert behind.must_wait("+99", None, NOW + MINUTE)


def test_everybody_waits_while_the_crowd_has_more_contacts_than_can_be_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 3)
    monkeypatch.setattr(rules, "CROWDED", 1)
    behind = Behind()
    marks = crowd(behind)
    assert behind.must_wait("+99", None, NOW)
    later = NOW + 5_000
    behind.put_off("+98", behind.next_mark(later), later, later + MINUTE)
    for contact, mark in marks.items():
        behind.passed(contact, mark, NOW + MINUTE)
    behind.put_off("+97", behind.next_mark(NOW + MINUTE), NOW + MINUTE, NOW + 2 * MINUTE)
    assert behind.must_wait("+97", None, NOW + MINUTE)
    assert behind.must_wait("+98", None, NOW + MINUTE)


def test_what_another_process_took_does_not_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "REMEMBERED", 3)
    behind = Behind()
    for number in range(30):
        now = NOW + number * (MINUTE + GRACE_MS + 1) // 3
        behind.put_off(f"+{number}", behind.next_mark(now), now, now + MINUTE)
    assert not behind.must_wait("+99", None, now)


@dataclass(order=True)
class Waiting:
    due_at: int
    number: int
    contact: str
    mark: int


@given(
    events=st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abcde")), min_size=1, max_size=80),
    room=st.lists(st.integers(0, 3), max_size=200),
    remembered=st.integers(0, 6),
    crowded=st.integers(0, 6),
)
def test_whatever_room_there_is_each_contact_s_deliveries_go_in_order_and_all_go(
    events: list[tuple[int, str]], room: list[int], remembered: int, crowded: int
) -> None:
    behind, topic, sent = Behind(), list[Waiting](), list[tuple[str, int]]()
    was = rules.REMEMBERED, rules.CROWDED
    rules.REMEMBERED, rules.CROWDED = remembered, crowded
    rooms, now, left = iter(room), NOW, 0

    def offer(number: int, contact: str, mark: int | None) -> None:
        nonlocal left
        if left > 0 and not behind.must_wait(contact, mark, now):
            left -= 1
            sent.append((contact, number))
            if mark is not None:
                behind.passed(contact, mark, now)
            return
        again = mark is not None
        mark = behind.next_mark(now) if mark is None else mark
        due_at = now + 27_000 + 1_500 * "abcde".index(contact)  # the jitter is the contact's
        behind.put_off(contact, mark, now, due_at, again=again)
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
        rules.REMEMBERED, rules.CROWDED = was
    for name in "abcde":
        assert [n for c, n in sent if c == name] == [n for n, (_, c) in enumerate(events) if c == name]
    assert not behind
