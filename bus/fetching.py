"""How long a fetch waits on the broker for more: as the load is.

A fetch costs the client and the broker about a millisecond each, whatever is in it. At some hundred records a second
one that is answered at the first record brings one or two. So after a fetch that brought something the next one waits
for FULL bytes, a few milliseconds at most: where there is a backlog they are there at once. After one that brought
nothing the next is answered at the first record: what comes alone never waits.

Private API of aiokafka 0.14.0 is used in this file only; `tests/unit/bus/test_fetching.py` fails when a new version no
longer calls it.
"""

from __future__ import annotations

from typing import Any

import aiokafka
from aiokafka.consumer.fetcher import Fetcher

FULL = 64 << 10
"""Bytes of a fetch that is worth its price."""

WAIT_MS = 8
"""For how long they are waited for."""


QUIET_WAIT_MS = 2_000
"""How long a broker may hold a request for records that has none. Other requests to it on this connection wait as long,
so it stays well below `bus.clients.REQUEST_TIMEOUT`; aiokafka's own is 500 ms."""

USUAL_WAIT_MS = 500
"""How long it holds those of a consumer that has work."""


class _Fetcher(Fetcher):  # type: ignore[misc]
    """A fetcher whose requests to a broker follow what that broker's last answer brought."""

    _busy: set[int]
    """Brokers whose last answer had records."""

    def _get_actions_per_node(self, assignment: Any) -> Any:
        actions = super()._get_actions_per_node(assignment)
        for node, request in actions[0]:
            if node in self._busy:
                request._min_bytes, request._max_wait_ms = FULL, WAIT_MS
        return actions

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        has_records: bool = await super()._proc_fetch_request(assignment, node_id, request)
        if has_records:
            self._busy.add(node_id)
        else:
            self._busy.discard(node_id)
        return has_records


class FollowingConsumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose fetches wait as the load is."""

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaError."""
        await super().start()
        # It is made in there, and does nothing before its first turn of the loop.
        fetcher: Any = self._fetcher
        fetcher.__class__ = _Fetcher
        fetcher._busy = set()


def ask_seldom(consumer: Any, seldom: bool = True, *, gather: int = 1) -> None:
    """Let the broker hold a started consumer's requests for as long as nothing comes; or only for the usual time, or
    until it has gathered so many bytes.

    For consumers that mostly wait: what comes is told at once all the same. A partition that is resumed, or another
    place that is sought, is asked for when the request under way is answered, so not while partitions are paused.
    """
    consumer._fetcher._fetch_max_wait_ms = QUIET_WAIT_MS if seldom else USUAL_WAIT_MS
    consumer._fetcher._fetch_min_bytes = 1 if seldom else gather
