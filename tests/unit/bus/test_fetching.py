"""Fetches wait according to the load. Pins the private API of aiokafka that this relies on."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4

from bus.clients import REQUEST_TIMEOUT, new_consumer
from bus.fetching import (
    FULL,
    QUIET_WAIT_MS,
    USUAL_WAIT_MS,
    WAIT_MS,
    Consumer,
    FollowingConsumer,
    _Fetcher,
    _FollowingFetcher,
    is_held,
)
from bus.settings import BusSettings
from tests.clock import settled

BUSY, IDLE = 1, 2
AT_THE_FIRST_RECORD = (1, USUAL_WAIT_MS)
HELD = (1, QUIET_WAIT_MS)
FENCED_AFTER_MS = 9_000
"""Kafka's default for `broker.session.timeout.ms`: then others lead what a broker led that is lost."""


class Broker:
    """A fetcher and its brokers' answers: one request to each per round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[_Fetcher] = _FollowingFetcher) -> None:
        self.brings: dict[int, bool] = {}
        self.fails = False
        self.usually = USUAL_WAIT_MS, 1
        self.left_out = 0
        """Partitions of each broker that are paused, or lie here and were not taken yet."""
        self.assignment = SimpleNamespace(tps=[(BUSY, 0), (BUSY, 1), (IDLE, 0), (IDLE, 1)])
        self.fetcher: Any = kind.__new__(kind)
        self.fetcher._quiet, self.fetcher._busy, self.fetcher._assignment = set(), set(), None
        monkeypatch.setattr(Fetcher, "_get_actions_per_node", lambda *_: (self._requests(), {}, 0.2, False, []))
        monkeypatch.setattr(Fetcher, "_proc_fetch_request", self._answer)
        monkeypatch.setattr(Fetcher, "_select_read_replica", lambda _, tp: tp[0])
        self._now = 0.0
        monkeypatch.setattr("bus.fetching.time", SimpleNamespace(monotonic=lambda: self._now))

    def _requests(self) -> list[tuple[int, FetchRequest]]:
        partitions = [(partition, 0, 1 << 20) for partition in range(2 - self.left_out)]
        wait_ms, least = self.usually
        return [(node, FetchRequest(wait_ms, least, 50 << 20, 0, [("topic", partitions)])) for node in (BUSY, IDLE)]

    async def _answer(self, assignment: Any, node: int, request: Any) -> bool:
        if self.fails:
            return False
        if not self.brings.get(node, False):
            self._now += request._max_wait_ms / 1_000
        return self.brings.get(node, False)

    async def round(self) -> dict[int, tuple[int, int]]:
        """Return the bytes and milliseconds for which the next request to each broker waits, and answer it."""
        requests = self.fetcher._get_actions_per_node(self.assignment)[0]
        for node, request in requests:
            await self.fetcher._proc_fetch_request(self.assignment, node, request)
        return {node: (request._min_bytes, request._max_wait_ms) for node, request in requests}


async def test_only_a_broker_that_brought_something_is_given_time_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)
    broker.brings = {BUSY: True}
    assert await broker.round() == {BUSY: AT_THE_FIRST_RECORD, IDLE: AT_THE_FIRST_RECORD}
    assert await broker.round() == {BUSY: (FULL, WAIT_MS), IDLE: HELD}


async def test_what_comes_alone_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)
    broker.brings = {BUSY: True}
    await broker.round()
    broker.brings = {}
    await broker.round()
    assert (await broker.round())[BUSY] == AT_THE_FIRST_RECORD


async def test_a_broker_that_had_nothing_holds_the_next_request_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)
    assert (await broker.round())[IDLE] == AT_THE_FIRST_RECORD
    assert [(await broker.round())[IDLE] for _ in range(3)] == [HELD] * 3


async def test_a_broker_that_answers_with_an_error_is_not_taken_for_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)
    await broker.round()
    broker.fails = True
    assert (await broker.round())[IDLE] == HELD
    assert (await broker.round())[IDLE] == AT_THE_FIRST_RECORD


async def test_after_a_record_a_broker_must_have_had_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, _Fetcher)
    await broker.round()
    broker.brings = {IDLE: True}
    assert (await broker.round())[IDLE] == HELD
    assert (await broker.round())[IDLE] == AT_THE_FIRST_RECORD


async def test_who_gathers_is_told_the_first_record_of_a_quiet_time_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, _Fetcher)
    broker.usually = USUAL_WAIT_MS, FULL
    assert (await broker.round())[IDLE] == (FULL, USUAL_WAIT_MS)
    broker.brings = {IDLE: True}
    assert (await broker.round())[IDLE] == HELD
    assert (await broker.round())[IDLE] == (FULL, USUAL_WAIT_MS)


async def test_what_is_left_out_of_a_request_is_soon_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, _Fetcher)
    broker.left_out = 1
    await broker.round()
    assert (await broker.round())[IDLE] == AT_THE_FIRST_RECORD
    broker.left_out = 0
    assert (await broker.round())[IDLE] == HELD


async def test_of_other_partitions_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, _Fetcher)
    await broker.round()
    broker.assignment = SimpleNamespace(tps=list(broker.assignment.tps))
    assert (await broker.round())[IDLE] == AT_THE_FIRST_RECORD


async def test_the_request_that_is_sent_says_how_long_to_wait() -> None:
    request: Any = FetchRequest(500, 1, 50 << 20, 0, [])
    request._min_bytes, request._max_wait_ms = FULL, WAIT_MS
    sent: Any = request.build(FetchRequest_v4)
    assert (sent.max_wait_time, sent.min_bytes) == (WAIT_MS, FULL)


def test_a_fetcher_of_aiokafka_asks_and_looks_at_answers_by_these_methods() -> None:
    routine = inspect.getsource(Fetcher._fetch_requests_routine)
    assert "self._get_actions_per_node(assignment)" in routine
    assert "self._proc_fetch_request(assignment, node_id, request)" in routine
    assert "return needs_wakeup" in inspect.getsource(Fetcher._proc_fetch_request)
    assert "self._client.send(node_id, request)" in inspect.getsource(Fetcher._proc_fetch_request)
    assert "self._select_read_replica(tp)" in inspect.getsource(Fetcher._get_actions_per_node)


@pytest.mark.parametrize(("kind", "fetcher"), [(Consumer, _Fetcher), (FollowingConsumer, _FollowingFetcher)])
async def test_consumers_have_such_fetchers(
    monkeypatch: pytest.MonkeyPatch, kind: type[Consumer], fetcher: type[_Fetcher]
) -> None:
    consumer: Any = new_consumer(BusSettings(bootstrap_servers="127.0.0.1:9"), kind=kind)

    async def start(self: Any) -> None:
        self._fetcher = Fetcher.__new__(Fetcher)

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.start", start)
    await consumer.start()
    assert type(consumer._fetcher) is fetcher
    assert (consumer._fetcher._quiet, consumer._fetcher._busy) == (set(), set())
    consumer._closed = True  # it has nothing to close


def test_that_a_broker_is_lost_which_holds_a_request_is_known_when_others_lead_its_partitions() -> None:
    assert QUIET_WAIT_MS + REQUEST_TIMEOUT * 1_000 <= FENCED_AFTER_MS


@pytest.mark.parametrize(("wait_ms", "held"), [(USUAL_WAIT_MS, False), (QUIET_WAIT_MS, True)])
def test_only_what_waits_longer_than_usual_is_held(wait_ms: int, held: bool) -> None:
    assert is_held(FetchRequest(wait_ms, 1, 50 << 20, 0, [])) is held


async def test_a_consumer_stops_while_a_request_that_failed_waits_to_be_tried_again() -> None:
    async def times_out(*_: object, **__: object) -> None:
        raise RequestTimedOutError

    client: Any = SimpleNamespace(
        _loop=asyncio.get_running_loop(), _metadata_max_age_ms=10_000, api_version=(2, 4, 0), send=times_out
    )
    fetcher: Any = _Fetcher(client, SubscriptionState(), retry_backoff_ms=60_000)
    fetcher._quiet = set()
    await settled()
    failed = asyncio.create_task(fetcher._proc_fetch_request(None, IDLE, FetchRequest(500, 1, 1, 0, [])))
    fetcher._pending_tasks.add(failed)
    await settled()
    await fetcher.close()
    assert failed.cancelled()
    assert fetcher._fetch_task.done()
