"""How long a fetch waits on the broker for more: as the load is.

A fetch costs the client and the broker about a millisecond each, whatever is in it. At some hundred records a second
one that is answered at the first record brings one or two. So a worker's fetch that follows one which brought something
waits for FULL bytes, a few milliseconds at most: where there is a backlog they are there at once.

Where nothing comes, the broker holds a request for seconds, and answers it at the first record all the same: what comes
alone never waits. It answers the requests of a connection one after the other, so one that it may hold for long has a
connection of its own (`bus/clients.py`).

Private API of aiokafka 0.14.0 is used in this file only; `tests/unit/bus/test_fetching.py` fails when a new version no
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
"""How long a broker holds a request for records that has none, unless it is told otherwise: aiokafka's own."""

QUIET_WAIT_MS = 5_000
"""How long it holds one that follows such a request."""


def is_held(request: Any) -> bool:
    """Whether a broker may hold this request for long."""
    return isinstance(request, FetchRequest) and request._max_wait_ms > USUAL_WAIT_MS


class _Fetcher(Fetcher):  # type: ignore[misc]
    """A fetcher whose requests are held by a broker that has nothing."""

    _pending_tasks: set[asyncio.Task[Any]]

    _quiet: set[int]
    """Brokers that held their last request for the usual time, and had nothing."""

    _assignment: Any
    """Of which that is known."""

    def _get_actions_per_node(self, assignment: Any) -> Any:
        actions = super()._get_actions_per_node(assignment)
        if assignment is not self._assignment:
            self._assignment = assignment
            self._quiet.clear()
        for node, request in actions[0]:
            self._ask(assignment, node, request)
        return actions

    def _ask(self, assignment: Any, node: int, request: Any) -> None:
        """Say how long a broker may take."""
        if node in self._quiet and self._is_whole(assignment, node, request):
            request._min_bytes, request._max_wait_ms = 1, QUIET_WAIT_MS

    def _is_whole(self, assignment: Any, node: int, request: Any) -> bool:
        """Whether a request is for all that this broker has. What is left out, being paused or not taken yet, could
        be asked for only when the request is answered.
        """
        asked = sum(len(partitions) for _, partitions in request.topics)
        led = sum(self._select_read_replica(tp) == node for tp in assignment.tps)
        return bool(asked == led)

    async def close(self) -> None:
        """Ask for nothing more.

        While a request that failed waits to be tried again, aiokafka's own `close` ends in CancelledError, and the
        consumer's connections stay open.
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
    """A consumer that asks seldom while nothing comes."""

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
