"""The gate of a lane: its breaker, the probe that may close it, and what waits for how the probe ends. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Literal

from sinks.webhooks.breaker import Breaker, State
from sinks.webhooks.delivery import Delivery

PROBE_QUEUE = 500
"""Deliveries that wait for the end of a probe. Webhooks come due in bursts: without this, all but the first of a
burst would lose an attempt to an endpoint that is well again."""


class Turn(Enum):
    """What the end of an attempt did to the gate."""

    NONE = "nothing"
    SHUT = "the endpoint fails"
    STAYS_SHUT = "the probe failed"
    OPENED = "the probe succeeded"


class LaneGate:
    """Lets everything through while an endpoint answers, and one delivery at a time where it did not."""

    def __init__(self, longest_rest: float) -> None:
        self.breaker = Breaker(longest_rest)
        self._probe: Delivery | None = None
        self.held: list[Delivery] = []

    def offer(self, delivery: Delivery, now: float) -> Literal["goes", "held", "turned down"]:
        """What becomes of a delivery while the breaker is not closed. `now` is in monotonic seconds."""
        if self.breaker.take_probe(now):
            self._probe = delivery
            return "goes"
        if self.breaker.state is State.PROBING and len(self.held) < PROBE_QUEUE:
            self.held.append(delivery)
            return "held"
        return "turned down"

    def ended(self, parts: Sequence[Delivery], failed: bool, now: float) -> Turn:
        """Note the end of an attempt with these deliveries."""
        probe = self._probe in parts if self._probe is not None else False
        if probe:
            self._probe = None
        if self.breaker.record(failed, now, probe=probe):
            return Turn.STAYS_SHUT if probe else Turn.SHUT
        return Turn.OPENED if probe else Turn.NONE

    def emptied(self) -> list[Delivery]:
        """What it held."""
        held, self.held = self.held, []
        return held

    def dropped(self, deliveries: Sequence[Delivery]) -> None:
        """These will not be sent: where the probe is among them, another may be."""
        if self._probe in deliveries:
            self.breaker.return_probe()
            self._probe = None
