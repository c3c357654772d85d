"""An endpoint's circuit breaker: a pure state machine; time is a parameter (monotonic seconds)."""

from __future__ import annotations

from enum import Enum

FAILURES = 5
"""Consecutive failures that open the breaker."""

FIRST_REST = 5.0
"""Seconds for which it opens first; doubled after each failed probe."""

LONGEST_REST = 60.0
"""Maximum, in seconds. Not longer than the schedule's shortest delay, so that a deferred webhook finds the breaker
ready for a probe when it returns."""


class State(Enum):
    """What the breaker lets through."""

    CLOSED = "everything"
    OPEN = "nothing until the rest is over"
    PROBING = "one probe is on its way, the rest waits for its end"


class Breaker:
    """Closed; opened by FAILURES consecutive failures; closed again by a successful probe.

    A probe is a real webhook. Attempts that were in progress when the breaker opened have no effect.
    """

    __slots__ = ("_failures", "_first_rest", "_longest_rest", "_open_until", "_rest", "state")

    def __init__(self, longest_rest: float = LONGEST_REST) -> None:
        self.state = State.CLOSED
        self._failures = 0
        self._longest_rest = min(longest_rest, LONGEST_REST)
        self._first_rest = min(FIRST_REST, self._longest_rest / 2)
        self._rest = self._first_rest
        self._open_until = 0.0

    @property
    def closed(self) -> bool:
        """Whether it lets everything through."""
        return self.state is State.CLOSED

    def take_probe(self, now: float) -> bool:
        """Whether the caller may send the probe of an open breaker; true once per rest."""
        if self.state is not State.OPEN or now < self._open_until:
            return False
        self.state = State.PROBING
        return True

    def return_probe(self) -> None:
        """Return an unsent probe: somebody else may take it at once."""
        if self.state is State.PROBING:
            self.state = State.OPEN

    def record(self, failed: bool, now: float, *, probe: bool = False) -> bool:
        """Record an attempt's outcome; True if it has just opened the breaker."""
        if self.state is State.CLOSED:
            self._failures = self._failures + 1 if failed else 0
            if self._failures < FAILURES:
                return False
            self._open(now)
            return True
        if not probe:
            return False
        if failed:
            self._rest = min(self._rest * 2, self._longest_rest)
            self._open(now)
            return True
        self.state = State.CLOSED
        self._failures = 0
        self._rest = self._first_rest
        return False

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self._open_until = now + self._rest
