"""Replay commands and their progress. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from outbound.bodies import SHAPES
from schemas.ids import random_id
from schemas.records import ReplayCommand, ReplayProgress

EVENTS = tuple(shape.event for shape in SHAPES.values())
"""Events that can be replayed. Each is also the short name of its topic."""

ENDED = ("done", "stopped", "failed")
"""States after which nothing more is sent."""

MOST_IDS = 1_000
"""Maximum event ids of one command."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to replay to one endpoint, before the command has an id. Times are in ms; `to_at` None is now.

    `outcome`: `all`, `failed` (tried and never accepted), or `dead` (given up).
    """

    endpoint: str
    outcome: str
    events: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    from_at: int = 0
    to_at: int | None = None
    rate: float | None = None

    def command(self, issued_by: str | None, now: int) -> ReplayCommand:
        """Return the record, with a new id. `now` is in ms."""
        return ReplayCommand(
            replay_id=random_id("rpl_"),
            endpoint=self.endpoint,
            outcome=self.outcome,
            events=self.events,
            event_ids=self.event_ids,
            from_at=self.from_at,
            to_at=now if self.to_at is None else min(self.to_at, now),
            rate=self.rate,
            issued_by=issued_by,
            issued_at=now,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A command and its progress."""

    command: ReplayCommand
    progress: ReplayProgress | None

    @property
    def state(self) -> str:
        """`ordered` until a sinks process has started, `stopping` until it has stopped, otherwise as the process
        says."""
        if self.progress is not None and self.progress.state in ENDED:
            return self.progress.state
        if self.command.stopped_at is not None:
            return "stopping"
        return "ordered" if self.progress is None else self.progress.state

    @property
    def left(self) -> int | None:
        """Number of records still to be examined; None before the start."""
        if self.progress is None:
            return None
        return sum(max(0, end - self.progress.positions[place]) for place, end in self.progress.ends.items())
