"""Adapts how long a fetch waits on the broker for more records to the load.

A fetch costs the client and the broker about a millisecond each, whatever it contains. At a few hundred records a
second, a fetch that is answered at the first record returns one or two. So after a fetch that returned records, a
worker's next fetch waits for FULL bytes, a few milliseconds at most; with a backlog, it is answered at once.

While nothing arrives, the broker holds a request for seconds, but still answers it at the first record: a single record
never waits. A broker answers the requests of a connection one after the other, so a request that may be held for long
has its own connection (`bus/clients.py`).

Private API of aiokafka 0.14.0 is used only in this file; `tests/unit/bus/test_fetching.py` fails if a new version no
longer calls it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiokafka
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest

FULL = 64 << 10
"""Bytes that make a fetch worth its cost."""

WAIT_MS = 8
"""Milliseconds to wait for them."""

USUAL_WAIT_MS = 500
"""Milliseconds that a broker without records holds a request by default: aiokafka's own value."""

QUIET_WAIT_MS = 5_000
"""Milliseconds that it holds the request after such a request."""


def is_held(request: Any) -> bool:
    """Whether a broker may hold this request for long."""
    return isinstance(request, FetchRequest) and request._max_wait_ms > USUAL_WAIT_MS


class _Fetcher(Fetcher):  # type: ignore[misc]
    """A fetcher whose requests are held by brokers without records."""

    _pending_tasks: set[asyncio.Task[Any]]

    _quiet: set[int]
    """Brokers that held their last request for the usual time and had no records."""

    _assignment: Any
    """Brokers for which that is known."""

    def _get_actions_per_node(self, assignment: Any) -> Any:
        actions = super()._get_actions_per_node(assignment)
        if assignment is not self._assignment:
            self._assignment = assignment
            self._quiet.clear()
        for node, request in actions[0]:
            self._ask(assignment, node, request)
        return actions

    def _ask(self, assignment: Any, node: int, request: Any) -> None:
        """Set how long a broker may take."""
        if node in self._quiet and self._is_whole(assignment, node, request):
            request._min_bytes, request._max_wait_ms = 1, QUIET_WAIT_MS

    def _is_whole(self, assignment: Any, node: int, request: Any) -> bool:
        """Whether a request covers all partitions that this broker leads. Partitions that are left out, because they
        are paused or not yet consumed, could only be requested after the answer.
        """
        asked = sum(len(partitions) for _, partitions in request.topics)
        led = sum(self._select_read_replica(tp) == node for tp in assignment.tps)
        return bool(asked == led)

    async def close(self) -> None:
        """Stop fetching.

        While a failed request waits for its retry, aiokafka's own `close` would end in CancelledError and leave the
        consumer's connections open.
        """
        self._fetch_task.cancel()
        await asyncio.gather(self._fetch_task, return_exceptions=True)
        pending, self._pending_tasks = self._pending_tasks, set()
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await super().close()

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        asked_at = time.monotonic()
        has_records: bool = await super()._proc_fetch_request(assignment, node_id, request)
        self._answered(node_id, time.monotonic() - asked_at, has_records)
        return has_records

    def _answered(self, node: int, seconds: float, has_records: bool) -> None:
        # An error comes sooner.
        if not has_records and seconds * 1000 >= USUAL_WAIT_MS:
            self._quiet.add(node)
        else:
            self._quiet.discard(node)


class _FollowingFetcher(_Fetcher):
    """A fetcher whose next request to a broker depends on what that broker's last answer contained."""

    _busy: set[int]
    """Brokers whose last answer contained records."""

    def _ask(self, assignment: Any, node: int, request: Any) -> None:
        super()._ask(assignment, node, request)
        if node in self._busy:
            request._min_bytes, request._max_wait_ms = FULL, WAIT_MS

    def _answered(self, node: int, seconds: float, has_records: bool) -> None:
        super()._answered(node, seconds, has_records)
        if has_records:
            self._busy.add(node)
        else:
            self._busy.discard(node)


class Consumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer that sends few requests while nothing arrives."""

    _fetcher_class: type[_Fetcher] = _Fetcher

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaError."""
        await super().start()
        # `start` creates the fetcher, which does nothing before its first turn of the event loop.
        fetcher: Any = self._fetcher
        fetcher.__class__ = self._fetcher_class
        fetcher._quiet, fetcher._busy, fetcher._assignment = set(), set(), None


class FollowingConsumer(Consumer):
    """A consumer whose fetch waits follow the load."""

    _fetcher_class = _FollowingFetcher
