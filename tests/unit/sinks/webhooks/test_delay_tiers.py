from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.memory import MemoryKafka
from bus.settings import BusSettings
from sinks.webhooks.delay_tiers import CLOCK_ERROR_MS, DelayTier, _Held, due_at, due_partition, wait_seconds
from sinks.webhooks.retry import TaskHeaders
from tests.clock import START

DELAY = 300_000


def record(due: bytes | None, timestamp: int = START) -> SimpleNamespace:
    return SimpleNamespace(timestamp=timestamp, headers=[] if due is None else [("due_at", due)])


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (b"%d" % (START + DELAY), START + DELAY),
        (b"%d" % (START + DELAY - 5), START + DELAY - 5),
        (b"%d" % (START + DELAY + CLOCK_ERROR_MS), START + DELAY + CLOCK_ERROR_MS),
        (None, START + DELAY),
        (b"soon", START + DELAY),
        (b"0", START + DELAY),
        (b"%d" % (START + 10**12), START + DELAY),
    ],
)
def test_a_task_is_due_when_its_header_says_unless_that_cannot_be(due: bytes | None, expected: int) -> None:
    assert due_at(record(due), DELAY) == expected


@given(due=st.none() | st.binary(), delay=st.integers(1_000, 10**8))
def test_no_header_holds_a_partition_for_long(due: bytes | None, delay: int) -> None:
    assert due_at(record(due), delay) <= START + 2 * delay + CLOCK_ERROR_MS


@given(delay=st.integers(1_000, 10**8), written=st.integers(0, 1_000))
def test_what_the_sink_writes_is_never_due_early(delay: int, written: int) -> None:
    headers = TaskHeaders(due_at=START + delay).encode()
    assert due_at(SimpleNamespace(timestamp=START + written, headers=headers), delay) == START + delay


@pytest.mark.parametrize(
    ("clock_is_ahead_by", "seconds"),
    [(0, 300.0), (100_000, 200.0), (300_000, 0.0), (-10_000, 310.0), (-86_400_000, 330.0)],
)
def test_a_clock_that_is_behind_makes_nobody_wait_longer_than_the_tier(clock_is_ahead_by: int, seconds: float) -> None:
    waiting = record(b"%d" % (START + DELAY))
    assert wait_seconds(waiting, DELAY, START + clock_is_ahead_by) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "partition"),
    [
        (TaskHeaders(mark=START, origin="sms.events.delivery/5/1234"), 5),
        (TaskHeaders(mark=START, origin="sms.events.delivery/5/1234", parked_at=START), 5),
        (TaskHeaders(mark=START, origin="eu.sms.events.delivery/11/0"), 11),
        (TaskHeaders(mark=START, origin="sms.events.delivery/12/0"), None),
        (TaskHeaders(mark=START, origin="sms.events.delivery"), None),
        (TaskHeaders(mark=START, origin=f"sms.events.delivery/{'9' * 5_000}/0"), None),
        (TaskHeaders(mark=START), None),
        (TaskHeaders(attempt=2, origin="sms.events.delivery/5/1234"), None),
        (TaskHeaders(attempt=2, mark=START, origin="sms.events.delivery/5/1234"), None),
    ],
    ids=[
        "deferred",
        "parked",
        "of a topic with a prefix",
        "more partitions then",
        "malformed",
        "too long to be a number",
        "of nowhere",
        "a retry",
        "a deferred retry",
    ],
)
def test_only_what_was_deferred_without_an_attempt_returns_where_its_event_was(
    headers: TaskHeaders, partition: int | None
) -> None:
    assert due_partition(headers, 12) == partition


@given(st.builds(TaskHeaders, mark=st.integers(0), origin=st.none() | st.text()), st.integers(1, 64))
def test_no_origin_names_a_partition_that_does_not_exist(headers: TaskHeaders, partitions: int) -> None:
    assert due_partition(headers, partitions) in (None, *range(partitions))


def test_a_tier_says_by_how_much_its_oldest_webhook_is_overdue() -> None:
    clock: Any = SimpleNamespace(monotonic=lambda: 100.0)
    settings = BusSettings(bootstrap_servers="localhost:1")
    tier = DelayTier(settings.catalogue.delay_tiers[0], settings, MemoryKafka(), clock, Mock())  # type: ignore[arg-type]
    assert (tier.delay, tier.overdue()) == ("1m", 0.0)
    tier._held = {0: deque([_Held(None, 97.5), _Held(None, 99.0)]), 1: deque([_Held(None, 130.0)])}
    assert tier.overdue() == 2.5
    tier._held = {1: deque([_Held(None, 130.0)])}
    assert tier.overdue() == 0.0
