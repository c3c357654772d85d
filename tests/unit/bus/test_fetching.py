"""Fetches wait as the load is. Pins the private API of aiokafka that this stands on."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4

from bus.clients import REQUEST_TIMEOUT, new_consumer
from bus.fetching import FULL, QUIET_WAIT_MS, USUAL_WAIT_MS, WAIT_MS, FollowingConsumer, _Fetcher, ask_seldom
from bus.settings import BusSettings

BUSY, IDLE = 1, 2
AT_THE_FIRST_RECORD = (1, 500)


class Broker:
    """A fetcher, and what its brokers answer: a request to each in every round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.brings: dict[int, bool] = {}
        self.fetcher: Any = _Fetcher.__new__(_Fetcher)
        self.fetcher._busy = set()
        monkeypatch.setattr(Fetcher, "_get_actions_per_node", lambda *_: (self._requests(), {}, 0.2, False, []))
        monkeypatch.setattr(Fetcher, "_proc_fetch_request", self._answer)

    @staticmethod
    def _requests() -> list[tuple[int, FetchRequest]]:
        return [(node, FetchRequest(500, 1, 50 << 20, 0, [])) for node in (BUSY, IDLE)]

    async def _answer(self, assignment: Any, node: int, request: Any) -> bool:
        return self.brings.get(node, False)

    async def round(self) -> dict[int, tuple[int, int]]:
        """Bytes and milliseconds that the next request to each broker waits for; it is answered then."""
        requests = self.fetcher._get_actions_per_node(None)[0]
        for node, request in requests:
            await self.fetcher._proc_fetch_request(None, node, request)
        return {node: (request._min_bytes, request._max_wait_ms) for node, request in requests}


async def test_only_a_broker_that_brought_something_is_given_time_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)
    broker.brings = {BUSY: True}
    assert await broker.round() == {BUSY: AT_THE_FIRST_RECORD, IDLE: AT_THE_FIRST_RECORD}
    assert await broker.round() == {BUSY: (FULL, WAIT_MS), IDLE: AT_THE_FIRST_RECORD}


async def test_what_comes_alone_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch)
    broker.brings = {BUSY: True}
    await broker.round()
    broker.brings = {}
    await broker.round()
    assert await broker.round() == {BUSY: AT_THE_FIRST_RECORD, IDLE: AT_THE_FIRST_RECORD}


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


async def test_a_worker_has_such_a_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = new_consumer(BusSettings(bootstrap_servers="127.0.0.1:9"), kind=FollowingConsumer)

    async def start(self: Any) -> None:
        self._fetcher = Fetcher.__new__(Fetcher)

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.start", start)
    await consumer.start()
    assert isinstance(consumer._fetcher, _Fetcher)
    assert consumer._fetcher._busy == set()
    consumer._closed = True  # it has nothing to close


async def test_what_mostly_waits_lets_the_broker_hold_its_requests_and_work_gathers_in_the_usual_time() -> None:
    fetcher: Any = Fetcher.__new__(Fetcher)
    consumer = SimpleNamespace(_fetcher=fetcher)
    ask_seldom(consumer)
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (1, QUIET_WAIT_MS)
    ask_seldom(consumer, False, gather=FULL)
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == (FULL, USUAL_WAIT_MS)


def test_a_broker_holds_no_request_for_so_long_that_it_is_taken_for_frozen() -> None:
    assert QUIET_WAIT_MS <= REQUEST_TIMEOUT * 1_000 / 2


@pytest.mark.parametrize("value", ["self._fetch_max_wait_ms", "self._fetch_min_bytes"])
def test_a_request_still_takes_what_the_fetcher_says(value: str) -> None:
    assert f"{value} = {value.removeprefix('self._')}" in inspect.getsource(Fetcher.__init__)
    assert f"{value}," in inspect.getsource(Fetcher._get_actions_per_node)
