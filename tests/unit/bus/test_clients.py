"""A silent broker keeps clients from no other one. Pins the private API of aiokafka that this relies on."""

from __future__ import annotations

import asyncio
import inspect
import socket
import struct
import time
from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

import bus.reading.group
from bus import clients
from bus.clients import new_consumer
from bus.reading.group import Placed, from_now_on, go_on_where_committed, group_consumer
from bus.settings import BusSettings

SILENT, SOUND = 1, 2


class Connection:
    """A connection that stands."""

    def connected(self) -> bool:
        return True

    async def close(self, reason: object = None) -> None:
        pass


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client of two brokers, one of which accepts connections but answers nothing."""
    consumer = new_consumer(BusSettings(bootstrap_servers="127.0.0.1:9"))
    client = consumer._client
    tried: list[str] = []

    async def create_conn(host: str, port: int, **options: object) -> Connection:
        tried.append(host)
        if host == "silent":
            await asyncio.Event().wait()
        return Connection()

    brokers = {SILENT: SimpleNamespace(host="silent", port=1), SOUND: SimpleNamespace(host="sound", port=1)}
    monkeypatch.setattr("aiokafka.client.create_conn", create_conn)
    monkeypatch.setattr(client.cluster, "broker_metadata", brokers.get)
    monkeypatch.setattr(client.cluster, "brokers", lambda: [SimpleNamespace(nodeId=node) for node in brokers])
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT", 0.05)
    client.tried = tried
    yield client
    await consumer.stop()


@pytest.mark.parametrize(
    ("caller", "hook"),
    [
        (AIOKafkaConnection.send, "self._request_timeout"),
        (AIOKafkaClient.ready, "self._get_conn"),
        (AIOKafkaClient._metadata_update, "self._get_conn"),
        (AIOKafkaClient._get_conn, "self._get_conn_lock"),
        (AIOKafkaClient.coordinator_lookup, "self.get_random_node"),
        (AIOKafkaProducer.send, "self.client._wait_on_metadata"),
        (AIOKafkaProducer.send, "self._request_timeout_ms / 1000"),
        (MessageAccumulator._append_batch, "self._batch_ttl"),
        (MessageAccumulator.fail_all, "self._exception = exception"),
        (MessageAccumulator.fail_all, "in self._pending_batches"),
        (MessageBatch.failure, "self._drain_waiter.set_exception(exception)"),
    ],
)
def test_aiokafka_still_calls_our_hooks(caller: Any, hook: str) -> None:
    assert hook in inspect.getsource(caller)


async def test_a_broker_that_does_not_answer_is_given_up_soon_and_left_alone_for_a_moment(client: Any) -> None:
    for _ in range(3):
        assert await client._get_conn(SILENT) is None
    assert client.tried == ["silent"]
    client._silent[SILENT] = time.monotonic()
    assert await client._get_conn(SILENT) is None
    assert client.tried == ["silent", "silent"]


class Coordinator(Connection):
    """A connection to a group's coordinator; records how long each request may take, and answers after `answers` s."""

    def __init__(self, answers: float) -> None:
        self._request_timeout = 0.01
        self._answers = answers
        self.patience: list[float] = []
        self.is_closed = False

    def send(self, request: object, expect_response: bool = True) -> Any:
        self.patience.append(self._request_timeout)
        return asyncio.wait_for(asyncio.sleep(self._answers, "answer"), self._request_timeout)

    def close(self, reason: object = None) -> Any:
        self.is_closed = True
        closed = asyncio.get_running_loop().create_future()
        closed.set_result(None)
        return closed


JOINS = [
    JoinGroupRequest("g", 1, 1, "", "", "consumer", []),
    SyncGroupRequest("g", 1, "m", "", []),
]


@pytest.mark.parametrize("request_", JOINS, ids=["join", "sync"])
async def test_a_group_may_take_its_time_with_who_joins_it(
    client: Any, monkeypatch: pytest.MonkeyPatch, request_: object
) -> None:
    monkeypatch.setattr(clients, "JOIN_TIMEOUT", 5.0)
    conn = client._conns[SOUND, ConnectionGroup.COORDINATION] = Coordinator(answers=0.1)
    assert await client.send(SOUND, request_, group=ConnectionGroup.COORDINATION) == "answer"
    with pytest.raises(RequestTimedOutError):
        await client.send(SOUND, HeartbeatRequest("g", 1, "m"), group=ConnectionGroup.COORDINATION)
    assert conn.patience == [5.0, 0.01]


async def test_a_group_that_never_answers_is_looked_for_elsewhere(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "JOIN_TIMEOUT", 0.02)
    conn = client._conns[SOUND, ConnectionGroup.COORDINATION] = Coordinator(answers=30)
    with pytest.raises(RequestTimedOutError):
        await client.send(SOUND, JOINS[0], group=ConnectionGroup.COORDINATION)
    assert conn.is_closed


def a_fetch(wait_ms: int) -> FetchRequest:
    return FetchRequest(wait_ms, 1, 1 << 20, 0, [])


async def test_what_a_broker_may_hold_for_long_keeps_nothing_waiting_and_has_its_time(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "REQUEST_TIMEOUT", 4.0)
    usual = client._conns[SOUND, ConnectionGroup.DEFAULT] = Coordinator(answers=0)
    held = client._conns[SOUND, clients.HELD] = Coordinator(answers=0.1)
    assert await client.send(SOUND, a_fetch(5_000)) == "answer"
    assert await client.send(SOUND, a_fetch(500)) == "answer"
    assert (held.patience, usual.patience) == ([9.0], [0.01])


async def test_a_broker_that_holds_a_request_for_too_long_is_taken_for_lost(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "REQUEST_TIMEOUT", -4.98)
    conn = client._conns[SOUND, clients.HELD] = Coordinator(answers=30)
    with pytest.raises(RequestTimedOutError):
        await client.send(SOUND, a_fetch(5_000))
    assert conn.is_closed


async def test_nothing_waits_behind_a_held_request_that_nobody_wants_any_more(client: Any) -> None:
    conn = client._conns[SOUND, clients.HELD] = Coordinator(answers=30)
    asking = asyncio.create_task(client.send(SOUND, a_fetch(5_000)))
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait([asking])
    assert conn.is_closed


async def test_nobody_waits_for_a_connection_to_another_broker(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT", 30.0)
    waiting = asyncio.create_task(client._get_conn(SILENT))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await client._get_conn(SOUND) is not None
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_two_who_need_a_connection_share_one(client: Any) -> None:
    first, second = await asyncio.gather(client._get_conn(SOUND), client._get_conn(SOUND))
    assert first is second
    assert client.tried == ["sound"]


async def test_a_broker_that_answers_is_asked_for_the_coordinator(client: Any) -> None:
    await client._get_conn(SILENT)
    assert [client.get_random_node() for _ in range(20)].count(SOUND) >= 19


@pytest.mark.parametrize("answered", [True, False])
async def test_a_topic_is_unknown_when_a_broker_says_so(
    client: Any, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    client._request_timeout_ms = client._retry_backoff = 0
    monkeypatch.setattr(clients, "PATIENCE", 0.2)
    asked = 0

    async def update() -> bool:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return answered

    monkeypatch.setattr(client, "force_metadata_update", update)
    monkeypatch.setattr(client, "add_topic", lambda topic: None)
    with pytest.raises(UnknownTopicOrPartitionError):
        await client._wait_on_metadata("no.such.topic")
    assert (asked > 3) is not answered


async def test_a_topic_is_known_of_which_a_broker_tells_only_after_it_stood_still(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client._request_timeout_ms = client._retry_backoff = 0
    answers = iter([False, True])

    async def update() -> bool:
        answered = next(answers)
        if answered:
            monkeypatch.setattr(client.cluster, "partitions_for_topic", lambda topic: {0})
        return answered

    monkeypatch.setattr(client, "force_metadata_update", update)
    monkeypatch.setattr(client, "add_topic", lambda topic: None)
    monkeypatch.setattr(client.cluster, "partitions_for_topic", lambda topic: None)
    assert await client._wait_on_metadata("slow.topic") == {0}


class Group:
    """The parts of a group's consumer that `go_on_where_committed` uses."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.topics, self.listener = topics, listener

    async def committed(self, tp: str) -> int | None:
        if tp == "away":
            raise KafkaConnectionError
        return 7 if tp == "old" else None

    async def beginning_offsets(self, tps: list[str]) -> dict[str, int]:
        return dict.fromkeys(tps, 3)

    async def end_offsets(self, tps: list[str]) -> dict[str, int]:
        return dict.fromkeys(tps, 9)

    def assignment(self) -> set[str]:
        return {"old", "new", "away"}

    def seek(self, tp: str, offset: int) -> None:
        self.places[tp] = offset


async def test_a_group_goes_on_where_it_has_committed_and_else_where_a_partition_begins() -> None:
    group = Group()
    await go_on_where_committed(group, ["old", "new", "lost meanwhile"])
    assert group.places == {"old": 7, "new": 3}


@pytest.mark.parametrize(("placed", "place"), [(go_on_where_committed, 3), (from_now_on, 9)])
async def test_a_member_of_a_group_is_told_its_places_and_finds_none_by_itself(
    monkeypatch: pytest.MonkeyPatch, placed: Placed, place: int
) -> None:
    member: Any = Group()
    monkeypatch.setattr(bus.reading.group, "new_consumer", lambda *_, **__: member)
    async with group_consumer(BusSettings(bootstrap_servers="unused:9"), "group", ["topic"], placed=placed):
        assert member.topics == ["topic"]
        await member.listener.on_partitions_assigned(["old", "new"])
    assert member.places == {"old": 7, "new": place}


async def test_who_asks_is_told_what_was_deleted_before_a_group_has_read_it() -> None:
    told: list[tuple[object, ...]] = []
    place = namedtuple("place", "topic partition")
    behind, new, up_to_date = place("t", 0), place("t", 1), place("t", 2)

    class Behind(Group):
        commits: ClassVar[dict[object, int]] = {}

        async def committed(self, tp: Any) -> int | None:
            return {behind: 1, new: None, up_to_date: 7}[tp]

        def assignment(self) -> Any:
            return {behind, new, up_to_date}

        async def commit(self, offsets: dict[object, int]) -> None:
            self.commits.update(offsets)

    group: Any = Behind()
    await go_on_where_committed(group, [behind, new, up_to_date], lost=lambda *lost: told.append(lost))
    assert sorted(told, key=str) == [("t", 0, 1, 3), ("t", 1, None, 3)]
    assert group.places == {behind: 3, new: 3, up_to_date: 7}
    assert group.commits == {behind: 3, new: 3}


async def test_a_group_whose_offsets_are_not_told_leaves_it_to_the_client() -> None:
    group = Group()
    await go_on_where_committed(group, ["old", "away"])
    assert group.places == {}


async def test_a_consumer_tells_brokers_where_it_is() -> None:
    consumer = new_consumer(BusSettings(bootstrap_servers="127.0.0.1:9", client_rack="eu-central-1a"))
    assert consumer._client_rack == "eu-central-1a"
    await consumer.stop()


@pytest.mark.parametrize(
    ("silent", "patience"), [(1, [1_500, 1_500]), (2, [1_500, 1_500, 4_000])], ids=["one of two", "both, at first"]
)
async def test_a_client_that_starts_waits_for_a_silent_broker_only_where_none_answers(
    monkeypatch: pytest.MonkeyPatch, silent: int, patience: list[int]
) -> None:
    consumer = new_consumer(BusSettings(bootstrap_servers="127.0.0.1:9,127.0.0.1:10"))
    client: Any = consumer._client
    waited: list[int] = []

    class Sound(Connection):
        async def send(self, request: object) -> None:
            """Ignored metadata."""

    async def create_conn(host: str, port: int, *, request_timeout_ms: int, **options: object) -> Sound:
        waited.append(request_timeout_ms)
        if len(waited) <= silent:
            raise TimeoutError
        return Sound()

    monkeypatch.setattr("aiokafka.client.create_conn", create_conn)
    monkeypatch.setattr(client.cluster, "update_metadata", lambda metadata: None)
    await client.bootstrap()
    await consumer.stop()
    assert waited == patience
    assert client._request_timeout_ms == 4_000


async def send_until_it_is_lost() -> None:
    """Send to a server that resets the connection at the first byte."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        # Closed with what was not read, a socket resets its connection.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1)
    conn = clients._Connection("127.0.0.1", server.sockets[0].getsockname()[1], request_timeout_ms=1_000)
    conn._versions = {MetadataRequest.API_KEY: (0, 5)}
    conn._do_version_lookup = partial(asyncio.sleep, 0)
    await conn.connect()
    answers = []
    try:
        async with asyncio.timeout(10):
            while True:
                answers.append(asyncio.ensure_future(conn.send(MetadataRequest([]))))
                await asyncio.sleep(0)
    finally:
        await asyncio.gather(*answers, return_exceptions=True)
        server.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_who_writes_to_a_connection_that_was_reset_is_told_so_on_every_loop(run: Any) -> None:
    for _ in range(20):
        with pytest.raises(KafkaConnectionError):
            run(send_until_it_is_lost())


async def test_a_client_asks_for_metadata_again_after_the_loop_has_failed_it(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_lost(host: str, port: int, **options: object) -> Connection:
        raise RuntimeError("unable to perform operation: the handler is closed")

    monkeypatch.setattr("aiokafka.client.create_conn", is_lost)
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    async with asyncio.timeout(10):
        assert not await client.force_metadata_update()
        assert not await client.force_metadata_update()
    assert not client._sync_task.done()


async def test_a_client_asks_for_metadata_again_after_an_answer_that_it_cannot_read(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_unreadable(connection: Connection, request: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Connection, "send", is_unreadable, raising=False)
    monkeypatch.setattr(clients, "LEFT_ALONE", 0.0)
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    async with asyncio.timeout(10):
        assert not await client.force_metadata_update()
        assert not await client.force_metadata_update()
    assert not client._sync_task.done()


async def what_arrives_of_a_request_that_is_given_up() -> tuple[int, int]:
    """Send a request to a broker that reads it only after its sender has given it up. Returns its bytes, and the bytes
    that the broker gets."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    listener.setblocking(False)
    conn = clients._Connection("127.0.0.1", listener.getsockname()[1], request_timeout_ms=50)
    conn._versions = {ProduceRequest.API_KEY: (0, 5)}
    conn._do_version_lookup = partial(asyncio.sleep, 0)
    await conn.connect()
    broker, _ = listener.accept()
    size, got = 8 << 20, 0
    request = ProduceRequest(transactional_id=None, required_acks=-1, timeout=50, topics=[("t", [(0, bytes(size))])])
    with pytest.raises(TimeoutError):
        await conn.send(request)
    conn.close(reason=CloseReason.CONNECTION_TIMEOUT)
    await asyncio.sleep(0.05)
    with listener, broker, suppress(ConnectionResetError):
        broker.settimeout(5)
        while more := await asyncio.to_thread(broker.recv, 65_536):
            got += len(more)
    return size, got


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_nothing_more_is_sent_of_a_request_that_was_given_up(run: Any) -> None:
    size, got = run(what_arrives_of_a_request_that_is_given_up())
    assert got < size / 2
