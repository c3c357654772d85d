from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.outcomes import (
    ERROR_CLASSES,
    LONGEST_RETRY_AFTER,
    Outcome,
    answered,
    parse_controls,
    parse_retry_after,
)
from schemas.topics import DEFAULT_SCHEDULE
from sinks.webhooks.retry import (
    Dead,
    Retry,
    TaskHeaders,
    Tier,
    chosen,
    crowded_out,
    jittered,
    next_step,
    parked,
    placed,
    schedule_of,
)

SCHEDULE = schedule_of(DEFAULT_SCHEDULE)
NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def waits(step: Retry | Dead) -> tuple[str, int] | None:
    return (step.tier.name, step.attempt) if isinstance(step, Retry) else None


@pytest.mark.parametrize("outcome", [answered(500), answered(404), answered(301), Outcome(error_class="timeout")])
@pytest.mark.parametrize(
    ("attempt", "wait"),
    [(1, ("1m", 2)), (2, ("5m", 3)), (3, ("15m", 4)), (4, ("1h", 5)), (5, ("2h", 6)), (6, None), (99, None)],
)
def test_each_failure_waits_for_the_next_delay_and_the_last_is_dead(
    attempt: int, wait: tuple[str, int] | None, outcome: Outcome
) -> None:
    assert waits(next_step(attempt, outcome, SCHEDULE)) == wait


@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_webhook_whose_receiver_wants_no_further_attempt_is_dead(status: int) -> None:
    assert waits(next_step(1, answered(status, 10.0, asked=("abort-message",)), SCHEDULE)) is None


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ([], ()),
        (["disable"], ("disable",)),
        ([" Abort-Message "], ("abort-message",)),
        (["abort-message, disable"], ("disable", "abort-message")),
        (["abort-message", "disable"], ("disable", "abort-message")),
        (["pause", "disabled", ""], ()),
    ],
)
def test_what_an_answer_asks_for(values: list[str], asked: tuple[str, ...]) -> None:
    assert parse_controls(values) == asked


@pytest.mark.parametrize(
    ("status", "asked", "error", "closes", "trips"),
    [
        (200, ("abort-message",), None, False, False),
        (200, ("disable",), None, True, False),
        (500, ("abort-message",), "aborted", False, False),
        (500, ("disable",), "http_status", True, True),
        (410, (), "http_status", True, False),
    ],
)
def test_what_an_answer_with_a_wish_counts_as(
    status: int, asked: tuple[str, ...], error: str | None, closes: bool, trips: bool
) -> None:
    outcome = answered(status, asked=asked)
    assert (outcome.error_class, outcome.closes, outcome.trips) == (error, closes, trips)


@pytest.mark.parametrize(
    ("status", "attempt", "seconds", "wait"),
    [
        (429, 1, 0, ("1m", 2)),
        (429, 1, 60, ("1m", 2)),
        (429, 1, 61, ("5m", 2)),
        (503, 1, 1_000, ("1h", 2)),
        (503, 1, 1_000_000, ("2h", 2)),
        (429, 3, 10, ("15m", 4)),
        (429, 6, 10, None),
        (500, 1, 1_000, ("1m", 2)),
    ],
)
def test_retry_after_takes_the_first_delay_that_is_long_enough(
    status: int, attempt: int, seconds: float, wait: tuple[str, int] | None
) -> None:
    assert waits(next_step(attempt, answered(status, seconds), SCHEDULE)) == wait


@given(attempt=st.integers(1, 10), seconds=st.floats(0, LONGEST_RETRY_AFTER))
def test_retry_after_never_shortens_a_wait(attempt: int, seconds: float) -> None:
    plain = next_step(attempt, answered(429), SCHEDULE)
    asked = next_step(attempt, answered(429, seconds), SCHEDULE)
    if isinstance(plain, Retry) and isinstance(asked, Retry):
        assert asked.tier.delay_ms >= plain.tier.delay_ms
        assert asked.tier.delay_ms >= min(seconds * 1000, SCHEDULE[-1].delay_ms)
    else:
        assert plain == asked == Dead()


def test_a_webhook_that_was_not_tried_keeps_its_attempt() -> None:
    assert waits(crowded_out(3, SCHEDULE)) == ("1m", 3)
    assert waits(parked(3, SCHEDULE)) == ("15m", 3)


@pytest.mark.parametrize(
    ("wait", "delay"), [(0, "1m"), (299_999, "1m"), (300_000, "5m"), (899_999, "5m"), (900_000, "15m"), (1e9, "15m")]
)
def test_what_would_wait_for_long_returns_later_but_within_a_quarter_of_an_hour(wait: float, delay: str) -> None:
    assert waits(crowded_out(1, SCHEDULE, wait)) == (delay, 1)


def test_what_would_wait_returns_after_the_first_delay_if_all_are_longer() -> None:
    assert waits(crowded_out(1, schedule_of(["1h", "2h"]), 1e9)) == ("1h", 1)


@pytest.mark.parametrize(
    ("delays", "tier"), [(("1m", "5m", "1h"), "5m"), (("1s", "2s"), "2s"), (("1h", "2h"), "1h"), (("15m",), "15m")]
)
def test_a_paused_endpoint_is_looked_at_again_within_a_quarter_of_an_hour_if_there_is_such_a_delay(
    delays: tuple[str, ...], tier: str
) -> None:
    assert parked(1, schedule_of(delays)).tier.name == tier


@pytest.mark.parametrize(
    ("names", "schedule"),
    [
        ((), DEFAULT_SCHEDULE),
        (("1m", "1h"), ("1m", "1h")),
        (("1h", "1m"), ("1m", "1h")),
        (("1m", "7m"), ("1m",)),
        (("7m",), DEFAULT_SCHEDULE),
    ],
)
def test_an_endpoint_takes_of_the_deployments_delays_those_that_it_names(
    names: tuple[str, ...], schedule: tuple[str, ...]
) -> None:
    assert tuple(tier.name for tier in chosen(names, SCHEDULE)) == schedule


@given(st.integers(1, 50), st.integers(1_000, 10**8), st.text(min_size=1), st.floats(0, 1e9))
def test_a_delay_differs_by_a_tenth_at_most_and_its_partition_is_there(
    partitions: int, delay_ms: int, key: str, at_least: float
) -> None:
    partition, delay = placed(Retry(Tier("x", delay_ms), 2, at_least), key, partitions)
    assert 0 <= partition < partitions
    assert 0.9 * delay_ms - 1 <= delay <= 1.1 * delay_ms + 1
    assert delay >= min(at_least, jittered(delay_ms, partitions - 1, partitions))


def test_all_webhooks_of_a_partition_wait_equally_long_and_the_partitions_fill_evenly() -> None:
    spots = Counter(placed(Retry(SCHEDULE[0], 2), f"acme/crm/+1555{n}", 12) for n in range(12_000))
    assert len(spots) == len({partition for partition, _ in spots}) == 12
    assert all(800 < count < 1_200 for count in spots.values())
    assert sorted(delay for _, delay in spots) == [jittered(60_000, number, 12) for number in range(12)]


def test_one_partition_waits_for_the_delay_itself() -> None:
    assert placed(Retry(SCHEDULE[0], 2), "any", 1) == (0, 60_000)


def test_what_is_about_one_contact_waits_in_one_partition() -> None:
    assert len({placed(Retry(SCHEDULE[0], n), "acme/crm/+1555", 12) for n in range(9)}) == 1


@pytest.mark.parametrize(
    ("outcome", "ok", "trips", "label"),
    [
        (answered(200), True, False, "2xx"),
        (answered(204), True, False, "2xx"),
        (answered(302), False, False, "3xx"),
        (answered(404), False, False, "4xx"),
        (answered(429), False, False, "4xx"),
        (answered(500), False, True, "5xx"),
        (answered(503, 5.0), False, True, "5xx"),
        (Outcome(error_class="timeout"), False, True, "timeout"),
        (Outcome(error_class="dns"), False, True, "dns"),
        (Outcome(error_class="connect"), False, True, "connect"),
        (Outcome(error_class="tls"), False, True, "tls"),
        (Outcome(error_class="refused_address"), False, False, "refused_address"),
        (Outcome(error_class="secret_missing"), False, False, "secret_missing"),
        (Outcome(error_class="breaker_open"), False, False, "breaker_open"),
    ],
)
def test_what_an_outcome_means(outcome: Outcome, ok: bool, trips: bool, label: str) -> None:
    assert (outcome.ok, outcome.trips, outcome.label) == (ok, trips, label)
    assert outcome.error_class is None or outcome.error_class in ERROR_CLASSES


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (answered(204), None),
        (answered(302), "a redirect, which is not followed"),
        (answered(401), "compare its signing secret"),
        (answered(404), "nothing at this URL"),
        (answered(422), "the answer was not 2xx"),
        (answered(502), "5xx trips the breaker"),
        (Outcome(error_class="tls", detail="the certificate is not valid: it has expired"), "it has expired"),
        (Outcome(error_class="tls"), "no TLS connection"),
        (Outcome(error_class="of a newer version"), None),
    ],
)
def test_an_outcome_says_what_to_look_at(outcome: Outcome, told: str | None) -> None:
    assert outcome.meaning == told if told is None else told in (outcome.meaning or "")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, LONGEST_RETRY_AFTER),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Monday, 15-Jan-24 10:31:00 GMT", 60.0),
        ("Mon Jan 15 10:31:00 2024", 60.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Mon, 99 Jan 2024 10:30:00 GMT", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW.timestamp()) == seconds


@given(st.text())
def test_retry_after_takes_any_text(value: str) -> None:
    seconds = parse_retry_after(value, NOW.timestamp())
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize("delays", [(), ("5m", "1m"), ("1m", "1m"), ("1m", "60s")])
def test_a_schedule_must_ascend(delays: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        schedule_of(delays)


@given(
    st.builds(
        TaskHeaders,
        attempt=st.integers(1, 9_999),
        first_attempt_at=st.none() | st.integers(0, 10**14),
        due_at=st.none() | st.integers(0, 10**14),
        origin=st.none() | st.text(st.characters(codec="utf-8")),
        parked_at=st.none() | st.integers(0, 10**14),
        mark=st.none() | st.integers(0, 10**14),
        replayed=st.booleans(),
    )
)
def test_headers_of_a_task_read_as_they_were_written(headers: TaskHeaders) -> None:
    assert TaskHeaders.decode(headers.encode()) == headers


@pytest.mark.parametrize("value", [b"", b"0", b"-1", b"1.5", b"x", b"99999", b"\xff", "٣".encode()])
def test_a_malformed_attempt_counts_as_the_first(value: bytes) -> None:
    assert TaskHeaders.decode([("attempt", value)]).attempt == 1


@pytest.mark.parametrize("value", [b"", b"-1", b"1e9", b"9" * 16, b"\xff"])
def test_malformed_times_are_unknown(value: bytes) -> None:
    headers = TaskHeaders.decode([("due_at", value), ("first_attempt_at", value)])
    assert (headers.due_at, headers.first_attempt_at) == (None, None)


@given(st.lists(st.tuples(st.sampled_from(["attempt", "first_attempt_at", "due_at", "origin"]), st.binary())))
def test_any_headers_read_as_some_task(headers: list[tuple[str, bytes]]) -> None:
    assert TaskHeaders.decode(headers).attempt >= 1
