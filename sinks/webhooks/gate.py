"""A lane's gate: its breaker, the probe that may close it, and deliveries that wait for the probe's outcome. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Literal

from sinks.webhooks.breaker import Breaker, State
from sinks.webhooks.delivery import Delivery

PROBE_QUEUE = 500
"""Deliveries that may wait for a probe. Webhooks become due in bursts: without this, all but the first of a burst would
lose an attempt to an endpoint that has recovered."""


class Turn(Enum):
    """The effect of an attempt's outcome on the gate."""

    NONE = "nothing"
    SHUT = "the endpoint fails"
    STAYS_SHUT = "the probe failed"
    OPENED = "the probe succeeded"


class LaneGate:
    """Lets everything through while an endpoint answers, and one delivery at a time otherwise."""

    def __init__(self, longest_rest: float) -> None:
        self.breaker = Breaker(longest_rest)
        self._probe: Delivery | None = None
        self.held: list[Delivery] = []

    def offer(self, delivery: Delivery, now: float) -> Literal["goes", "held", "deferred"]:
        """Decide about a delivery while the breaker is not closed. `now` is in monotonic seconds."""
        if self.breaker.take_probe(now):
            self._probe = delivery
            return "goes"
        if self.breaker.state is State.PROBING and len(self.held) < PROBE_QUEUE:
            self.held.append(delivery)
            return "held"
        return "deferred"

    def ended(self, parts: Sequence[Delivery], failed: bool, now: float) -> Turn:
        """Record the outcome of an attempt with these deliveries."""
        probe = self._probe in parts if self._probe is not None else False
        if probe:
            self._probe = None
        if self.breaker.record(failed, now, probe=probe):
            return Turn.STAYS_SHUT if probe else Turn.SHUT
        return Turn.OPENED if probe else Turn.NONE

    def emptied(self) -> list[Delivery]:
        """Remove and return what it held."""
        held, self.held = self.held, []
        return held

    def dropped(self, deliveries: Sequence[Delivery]) -> None:
        """Note deliveries that will not be sent: if the probe is among them, another may take its place."""
        if self._probe in deliveries:
            self.breaker.return_probe()
            self._probe = None
