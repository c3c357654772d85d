"""What follows an attempt: success, another attempt after a delay, or a dead letter. Pure functions.

After failed attempt n, the webhook waits for the schedule's n-th delay; after the last one it is dead. Delays vary by
up to 10 % between webhooks, so that those that failed together do not return together: see `placed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

from outbound.outcomes import THROTTLES, Outcome
from schemas.cloudevents import Headers, header
from schemas.topics import parse_duration

JITTER = 0.1
"""Maximum share by which a delay is shortened or lengthened."""

PARK_MS = 15 * 60_000
"""A paused endpoint's webhooks are checked again after the longest delay up to this one, which is how soon they leave
after a resume."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One delay of the schedule, by the name in its topic."""

    name: str
    delay_ms: int


Schedule = tuple[Tier, ...]
"""Delays between attempts, shortest first, at least one."""


def schedule_of(delays: Sequence[str]) -> Schedule:
    """Return the schedule of delays such as `("1m", "5m")`. Raises ValueError unless they ascend."""
    tiers = tuple(Tier(delay, parse_duration(delay)) for delay in delays)
    if not tiers or any(a.delay_ms >= b.delay_ms for a, b in pairwise(tiers)):
        raise ValueError(f"{', '.join(delays) or 'an empty schedule'}: name one or more delays, ascending")
    return tiers


def chosen(names: Iterable[str], schedule: Schedule) -> Schedule:
    """Return the deployment's delays that an endpoint selects by name; all of them if it selects none that exists."""
    wanted = set(names)
    return tuple(tier for tier in schedule if tier.name in wanted) or schedule


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait in this tier, for at least `at_least_ms`; `attempt` is the number of the next attempt."""

    tier: Tier
    attempt: int
    at_least_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Dead:
    """Give up: no delay is left."""


def next_step(attempt: int, outcome: Outcome, schedule: Schedule) -> Retry | Dead:
    """Return what follows failed attempt number `attempt` (from 1).

    With Retry-After, the first tier that is long enough and not earlier than the next one, or else the longest. Dead if
    the receiver asked for no further attempt.
    """
    if attempt > len(schedule) or outcome.aborted:
        return Dead()
    due = schedule[attempt - 1 :]
    wanted = 0.0
    if outcome.status in THROTTLES and outcome.retry_after is not None:
        wanted = outcome.retry_after * 1000
    return Retry(next((tier for tier in due if tier.delay_ms >= wanted), due[-1]), attempt + 1, wanted)


def crowded_out(attempt: int, schedule: Schedule, wait_ms: float = 0.0) -> Retry:
    """Return the retry for an endpoint with more waiting than it can take soon: the same attempt later.

    `wait_ms`: how long those ahead of it probably take. A backlog of hours that returned every minute would cost more
    than its delivery. It still returns at least every PARK_MS, because an endpoint may become faster.
    """
    fitting = [tier for tier in schedule if tier.delay_ms <= min(wait_ms, PARK_MS)]
    return Retry(fitting[-1] if fitting else schedule[0], attempt)


def parked(attempt: int, schedule: Schedule) -> Retry:
    """Return the retry for a paused endpoint: check again later (see PARK_MS), for the same attempt."""
    fitting = [tier for tier in schedule if tier.delay_ms <= PARK_MS]
    return Retry(fitting[-1] if fitting else schedule[0], attempt)


def placed(step: Retry, key: str, partitions: int) -> tuple[int, int]:
    """Return a webhook's partition in the delay topic, and its delay in ms.

    The partition is the jitter: each has its own delay, evenly spaced within JITTER of the tier's. So the head of every
    partition is due next, whatever the jitter, and webhooks with the same key (an endpoint's webhooks about one
    contact) keep their order. If the receiver asked for time (Retry-After), only partitions that wait long enough are
    used, or the last one if none does.
    """
    delays = [jittered(step.tier.delay_ms, number, partitions) for number in range(partitions)]
    first = next((number for number, delay in enumerate(delays) if delay >= step.at_least_ms), partitions - 1)
    number = first + crc32(f"{step.tier.name}/{key}".encode()) % (partitions - first)
    return number, delays[number]


def jittered(delay_ms: int, number: int, partitions: int) -> int:
    """Return the delay of one partition of a tier, in ms."""
    return round(delay_ms * (1 + JITTER * ((2 * number + 1) / partitions - 1)))


@dataclass(frozen=True, slots=True)
class TaskHeaders:
    """State of a waiting webhook, as Kafka record headers in decimal ASCII.

    `attempt` is the number of the next attempt. `first_attempt_at`, `due_at`, and `parked_at` (since when it waits
    for its paused endpoint) are in ms since 1970 UTC, None if unknown. `mark` is its place among
    deliveries that wait elsewhere (`sinks.webhooks.lane_order`). `replayed`: it was sent on command. `origin` is
    topic/partition/offset of the webhook's source record.
    """

    attempt: int = 1
    first_attempt_at: int | None = None
    due_at: int | None = None
    origin: str | None = None
    parked_at: int | None = None
    mark: int | None = None
    replayed: bool = False

    def encode(self) -> Headers:
        """Return record headers, omitting None."""
        pairs = (
            ("attempt", self.attempt),
            ("first_attempt_at", self.first_attempt_at),
            ("due_at", self.due_at),
            ("origin", self.origin),
            ("parked_at", self.parked_at),
            ("mark", self.mark),
            ("replayed", int(self.replayed) or None),
        )
        return [(name, str(value).encode()) for name, value in pairs if value is not None]

    @classmethod
    def decode(cls, headers: Iterable[tuple[str, bytes]]) -> TaskHeaders:
        """Parse record headers. Missing or malformed ones are as in a new task: attempt 1, the rest None."""
        found = list(headers)
        return cls(
            attempt=_number(header(found, "attempt"), digits=4) or 1,
            first_attempt_at=_number(header(found, "first_attempt_at")),
            due_at=_number(header(found, "due_at")),
            origin=_text(header(found, "origin")),
            parked_at=_number(header(found, "parked_at")),
            mark=_number(header(found, "mark")),
            replayed=header(found, "replayed") == b"1",
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _number(value: bytes | None, digits: int = 15) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) <= digits else None
