"""What the lanes of a sink have in common, and who handles what happens in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol

from bus.clock import Clock
from outbound.outcomes import Outcome
from sinks.webhooks.deferrals import Deferral
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.pace import SOON
from sinks.webhooks.signed_post import Post

if TYPE_CHECKING:
    from bus.telemetry.tracing import Tracing


class LaneOwner(Protocol):
    """Handles what happens in a lane."""

    def attempted(self, delivery: Delivery, outcome: Outcome, url: str, seconds: float) -> None:
        """Handle an attempt: its outcome, its target, its duration."""

    def closed(self, name: str, outcome: Outcome) -> None:
        """Handle an answer after which the endpoint gets no more webhooks."""

    def deferred(self, delivery: Delivery, reason: Deferral) -> None:
        """Handle a queued delivery that will not be tried soon."""

    def abandoned(self, delivery: Delivery) -> None:
        """Handle a dropped delivery; the record's next owner creates it again."""

    def broken(self, error: BaseException) -> None:
        """Handle a failure of the lane itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSetup:
    """What all lanes of a sink have in common.

    `cap`: how many requests each may have in progress. `share`: this process's share of all partitions. `lag`: for how
    many seconds in total this process has been stalled. `room`: how many more deliveries the sink may hold. `soon`:
    after how many seconds a deferred delivery returns.
    """

    post: Post
    owner: LaneOwner
    cap: int
    clock: Clock
    share: Callable[[], float] = lambda: 1.0
    lag: Callable[[], float] = lambda: 0.0
    room: Callable[[], float] = lambda: inf
    soon: float = SOON
    tracing: Tracing | None = None
