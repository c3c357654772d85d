"""aiokafka clients with the deployment's settings that keep working when one broker hangs.

A frozen broker accepts connections but never answers. aiokafka opens one connection at a time, waits for each as long
as for any request, and asks a random broker for metadata, so one such broker can block a client for minutes. This
client limits the time for a new connection, opens connections concurrently, avoids a broker that did not answer for a
moment, and meanwhile asks the other brokers for the new partition leaders.

Relies on private API of aiokafka 0.14.0; `tests/unit/bus/test_clients.py` fails if a new version no longer calls it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Any

import aiokafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import (
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.produce import ProduceRequest

from bus.fetching import Consumer, is_held
from bus.settings import BusSettings

log = logging.getLogger(__name__)

REQUEST_TIMEOUT = 4.0
"""Seconds for a broker to answer a request, in addition to the time for which it may hold it. This is the only way to
detect a frozen broker, which keeps its connections open."""

METADATA_AGE = 10.0
"""Seconds after which a client refreshes its metadata, unless that happens earlier. Until then, aiokafka asks an old
leader where a partition begins."""

CONNECT_TIMEOUT = 1.5
"""Seconds for a broker to answer on a new connection."""

JOIN_TIMEOUT = 12.0
"""Seconds for a group to answer a join request. It answers only after all other members have noticed, finished their
work, and joined too; retrying earlier may make the group start over."""

LOOK_EVERY = 1.0
"""Seconds between checks of a consumer for pending fetches, if nothing triggers one earlier; a new leader of a
partition does not. aiokafka checks five times a second."""

LEFT_ALONE = 1.0
"""Seconds without new attempts to connect to a broker that has not answered."""

PATIENCE = 300.0
"""Seconds for which a client keeps asking about an unknown topic while no broker answers."""

OFFSETS_KEPT_MS = 10 * 365 * 86_400_000
"""How long brokers keep a committed offset. By default, they forget those of a group that has had no members for seven
days (`offsets.retention.minutes`): sinks would then send the webhooks of 30 days again, and nobody would learn what
retention deleted in the meantime."""

HELD = "held"
"""The `ConnectionGroup` of a broker's connection for requests that it may hold for long."""

_TIMES = {"request_timeout_ms": int(REQUEST_TIMEOUT * 1000), "metadata_max_age_ms": int(METADATA_AGE * 1000)}


class _Connection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection whose loss raises a KafkaError on every event loop, and that sends nothing after it is closed.

    After a peer resets a connection, uvloop 0.23 raises RuntimeError on write, where asyncio stays silent. aiokafka
    0.14 considers the connection open until its reader has run and does not expect the error: the task that refreshes
    metadata or fetches ends silently, and whoever waits for it waits forever.

    A closed socket still sends what the network has not taken, for a minute or more: a produce request that was given
    up for lost would be carried out after later ones. So a connection with unanswered requests is reset.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Send a request and return the answer. Raises KafkaError."""
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            if not _is_of_the_loop(error):
                raise
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"connection at {self._host}:{self._port} was lost: {error}") from error

    def close(self, reason: Any = None, exc: BaseException | None = None) -> Any:
        """Close the connection; its requests fail with a KafkaError."""
        if self._writer is not None and self._requests:
            _reset(self._writer.transport)
        return super().close(reason, exc)


def _reset(transport: asyncio.Transport) -> None:
    """Close a connection without sending what waits in its buffers."""
    sock = transport.get_extra_info("socket")
    if sock is not None:  # else it is closed already
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _is_of_the_loop(error: RuntimeError) -> bool:
    return type(error) is RuntimeError  # subclasses are Kafka's own errors


Permit = Callable[[], Awaitable[None]]
"""Returns if records may be sent now. Raises KafkaError."""


class _Client(AIOKafkaClient):  # type: ignore[misc]
    """The client that a consumer or producer uses to talk to brokers. `_adopt` sets up its state."""

    _request_timeout_ms: int
    _silent: dict[Any, float]
    _connecting: defaultdict[Any, asyncio.Lock]

    permit: Permit | None
    """Asked before records are sent; None: nobody is."""

    @property
    def _get_conn_lock(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def bootstrap(self) -> None:
        """Learn the brokers from the first one that answers, without waiting long for any of them at first."""
        usual, self._request_timeout_ms = self._request_timeout_ms, int(CONNECT_TIMEOUT * 1000)
        try:
            await super().bootstrap()
            return
        except RuntimeError as error:
            if not (isinstance(error, KafkaConnectionError) or _is_of_the_loop(error)):
                raise
            log.warning("no broker answers in %g s: asking again with patience", CONNECT_TIMEOUT)
        finally:
            self._request_timeout_ms = usual
        await super().bootstrap()

    async def _get_conn(self, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False) -> Any:
        conn = self._conns.get((node_id, group))
        if conn is not None and conn.connected():
            return _sound(conn)
        async with self._connecting[node_id, group]:
            if time.monotonic() < self._silent.get(node_id, 0.0):
                self.force_metadata_update()
                return None
            conn = None
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    conn = await super()._get_conn(node_id, group=group)
            except TimeoutError:
                self.force_metadata_update()
            except RuntimeError as error:
                if not _is_of_the_loop(error):
                    raise
                self.force_metadata_update()
            if conn is None:
                self._silent[node_id] = time.monotonic() + LEFT_ALONE
            return _sound(conn)

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        # This is the client's only metadata task. If it ended, the client would hang forever.
        try:
            return bool(await super()._metadata_update(cluster_metadata, topics))
        except Exception:
            log.exception("partition leaders are unknown")
            return False

    async def send(self, node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Send a request and return the answer. Raises KafkaError."""
        if isinstance(request, OffsetCommitRequest):
            request._retention_time = OFFSETS_KEPT_MS
        if isinstance(request, (JoinGroupRequest, SyncGroupRequest)):
            return await self._send_within(JOIN_TIMEOUT, node_id, request, group)
        if self.permit is not None and isinstance(request, ProduceRequest):
            await self._wait_for(self.permit, node_id, group)
        if not is_held(request):
            return await super().send(node_id, request, group=group)
        try:
            seconds = REQUEST_TIMEOUT + request._max_wait_ms / 1000
            return await self._send_within(seconds, node_id, request, HELD)
        except asyncio.CancelledError:
            # What is asked for next would wait on this connection until this is answered.
            if (conn := self._conns.get((node_id, HELD))) is not None:
                conn.close()
            raise

    async def _wait_for(self, permit: Permit, node_id: Any, group: Any) -> None:
        """Return as soon as a connected broker may be sent records. The caller writes them before anything else runs,
        so not even a process that was frozen sends them long after it was permitted to."""
        if not await self.ready(node_id, group=group):
            raise NodeNotReadyError(f"broker {node_id} is not ready")
        await permit()
        conn = self._conns.get((node_id, group))
        if conn is None or not conn.connected():
            raise NodeNotReadyError(f"broker {node_id} is not ready anymore")

    async def _send_within(self, seconds: float, node_id: Any, request: Any, group: Any) -> Any:
        if not await self.ready(node_id, group=group):
            raise NodeNotReadyError(f"broker {node_id} is not ready")
        conn = self._conns[node_id, group]
        usual, conn._request_timeout = conn._request_timeout, seconds
        try:
            answer = conn.send(request)
        finally:
            conn._request_timeout = usual
        try:
            return await answer
        except TimeoutError as error:
            conn.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise RequestTimedOutError from error

    async def _wait_on_metadata(self, topic: str) -> Any:
        # aiokafka treats a topic as unknown when nobody could be asked about it.
        since = time.monotonic()
        while True:
            try:
                return await super()._wait_on_metadata(topic)
            except UnknownTopicOrPartitionError:
                answered = await self.force_metadata_update()
                if (partitions := self.cluster.partitions_for_topic(topic)) is not None:
                    return partitions
                if answered or time.monotonic() - since > PATIENCE:
                    raise

    def get_random_node(self) -> Any:
        """Return a broker for questions that any of them can answer, preferably one that responds."""
        now = time.monotonic()
        for _ in range(8):
            node = super().get_random_node()
            if now >= self._silent.get(node, 0.0):
                break
        return node


def _sound(conn: Any) -> Any:
    if type(conn) is AIOKafkaConnection:
        conn.__class__ = _Connection
    return conn


def _adopt(client: AIOKafkaClient) -> None:
    # Consumers and producers create their client themselves.
    client.__class__ = _Client
    client._silent = {}
    client._connecting = defaultdict(asyncio.Lock)
    client.permit = None


async def started(client: Any) -> Any:
    """Start an aiokafka consumer or producer, and stop it if that fails. Raises aiokafka.errors.KafkaError."""
    try:
        await client.start()
    except BaseException:
        await client.stop()
        raise
    return client


def new_consumer(
    settings: BusSettings,
    *topics: str,
    kind: type[Consumer] = Consumer,
    **options: Any,
) -> Consumer:
    """Return an aiokafka consumer of this class. Unless `options` differ, it does not autocommit and reads from the
    beginning."""
    given = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "client_rack": settings.client_rack,
        "consumer_timeout_ms": int(LOOK_EVERY * 1000),
        **options,
    }
    consumer = kind(*topics, **given, **_TIMES, **settings.aiokafka())
    _adopt(consumer._client)
    return consumer


def new_producer(settings: BusSettings, **options: Any) -> aiokafka.AIOKafkaProducer:
    """Return an aiokafka producer."""
    producer = aiokafka.AIOKafkaProducer(**options, **_TIMES, **settings.aiokafka())
    _adopt(producer.client)
    return producer
