"""The events in progress: bounded, and settled in their ledgers once all their deliveries are done.

A delivery settles when the receiver accepts it, or when its task is acknowledged in a delay topic or the dead letters.
An event settles when all its deliveries have; only then may its offset be committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bus.clock import Clock, within
from bus.ledger import Ledger

ROOM = 0.9
"""Share of the limits below which a full window accepts events again."""


RESERVED = 0.2
"""Share of the limits that long queues leave free. Each takes half of what others have left, so a dozen would otherwise
fill the window, and endpoints with little to send would wait for them."""


class Admission:
    """One event in progress: where it settles, its unsettled deliveries, its size in bytes."""

    __slots__ = ("abandoned", "ledger", "offset", "parts", "pending", "size")

    def __init__(self, ledger: Ledger, offset: int, size: int, pending: int, parts: tuple[Admission, ...] = ()) -> None:
        self.ledger = ledger
        self.offset = offset
        self.size = size
        self.pending = pending
        self.abandoned = False
        self.parts = parts

    @property
    def origin(self) -> str:
        """`topic/partition/offset` of the record."""
        return f"{self.ledger.tp.topic}/{self.ledger.tp.partition}/{self.offset}"


def merged(parts: Sequence[Admission]) -> Admission:
    """Combine the admissions of a request's events: they settle together."""
    return Admission(parts[0].ledger, parts[0].offset, 0, 1, tuple(parts))


class Window:
    """Events in progress. `epoch` changes when partitions are revoked: events from before it are dropped."""

    def __init__(self, max_events: int, max_bytes: int, clock: Clock) -> None:
        self.events = 0
        self.bytes = 0
        self.epoch = 0
        self.on_drain: list[Callable[[], None]] = []
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._clock = clock
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def full(self) -> bool:
        """Whether no more events may be taken."""
        return self.events >= self._max_events or self.bytes >= self._max_bytes

    @property
    def room(self) -> float:
        """Return how many more events long queues may hold, if they are as large as the current ones."""
        share = 1 - RESERVED
        events = share * self._max_events - self.events
        if self.bytes:
            events = min(events, (share * self._max_bytes - self.bytes) * self.events / self.bytes)
        return max(0.0, events)

    def admit(self, ledger: Ledger, offset: int, size: int, deliveries: int) -> Admission:
        """Admit an event of `size` bytes with this many deliveries. One without deliveries settles at once."""
        admission = Admission(ledger, offset, size, deliveries)
        if deliveries:
            self.events += 1
            self.bytes += size
        else:
            ledger.settle(offset)
        return admission

    def settle(self, admission: Admission) -> None:
        """Settle one delivery of the event."""
        if admission.parts:
            for part in admission.parts:
                part.abandoned |= admission.abandoned
                self.settle(part)
            return
        admission.pending -= 1
        if admission.pending:
            return
        self.events -= 1
        self.bytes -= admission.size
        if not admission.abandoned:
            admission.ledger.settle(admission.offset)
        if self._waiting:
            self._wake()

    def abandon(self, admission: Admission) -> None:
        """Drop one delivery of the event, which then does not settle."""
        admission.abandoned = True
        self.settle(admission)

    async def wait_room(self) -> None:
        """Return once there is room again, or the epoch has changed."""
        epoch = self.epoch
        await self._when(lambda: self._has_room() or self.epoch != epoch)

    async def drain(self, timeout: float) -> bool:
        """Drop everything that has not been started, and wait for the rest; False if that takes too long.

        Called before partitions are revoked: their next owner reads the dropped events again.
        """
        self.epoch += 1
        for let_go in self.on_drain:
            let_go()
        self._wake()
        return await within(timeout, self._when(lambda: self.events == 0), self._clock)

    def _has_room(self) -> bool:
        return self.events <= ROOM * self._max_events and self.bytes <= ROOM * self._max_bytes

    def _when(self, condition: Callable[[], bool]) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, future))
        self._wake()
        return future

    def _wake(self) -> None:
        for waiting in list(self._waiting):
            condition, future = waiting
            if future.done() or condition():
                self._waiting.remove(waiting)
                if not future.done():
                    future.set_result(None)
