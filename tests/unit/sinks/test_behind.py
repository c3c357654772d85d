from __future__ import annotations

import pytest

from sinks.behind import CONTACTS, GRACE_MS, LONGEST_MS, Behind

NOW, MINUTE = 1_000_000, 60_000


@pytest.mark.parametrize(
    ("contact", "was_due_at", "later", "waits"),
    [
        ("+1", 0, 0, True),
        ("+1", 0, MINUTE + GRACE_MS, True),
        ("+1", 0, MINUTE + GRACE_MS + 1, False),
        ("+2", 0, 0, False),
        ("+1", NOW + MINUTE, MINUTE, False),
        ("+1", NOW - 1, 10, True),
    ],
    ids=["a new one", "until the first is due", "not for ever", "another contact", "the first itself", "put off again"],
)
def test_who_waits_for_one_that_was_put_off(contact: str, was_due_at: int, later: int, waits: bool) -> None:
    behind = Behind()
    behind.put_off("+1", NOW, NOW + MINUTE)
    assert behind.must_wait(contact, was_due_at, NOW + later) is waits


def test_a_steady_stream_of_one_contact_is_not_late_for_ever() -> None:
    behind, now = Behind(), NOW
    while behind.must_wait("+1", 0, now) or now == NOW:
        behind.put_off("+1", now, now + MINUTE)
        now += MINUTE // 2
    assert now - NOW <= LONGEST_MS + MINUTE
    assert not behind


def test_contacts_that_are_remembered_are_bounded() -> None:
    behind = Behind()
    for number in range(CONTACTS + 1):
        behind.put_off(f"+{number}", NOW, NOW + MINUTE)
    assert not behind.must_wait("+0", 0, NOW)
    assert behind.must_wait(f"+{CONTACTS}", 0, NOW)
