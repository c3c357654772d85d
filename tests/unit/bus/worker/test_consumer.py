"""The private hooks of faust-streaming and aiokafka that `bus.worker.consumer` stands on.

The pinned versions are checked first: when they are raised, read `bus/worker/consumer.py` against the new source.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import nullcontext
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher as AIOKafkaFetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

import bus.insisting
from bus.layout import Identity
from bus.ledger import Ledger, TopicPartition
from bus.worker.consumer import LosslessConsumer, LosslessTransport, ReadPosition


@pytest.mark.parametrize(
    ("package", "pinned"),
    [("faust-streaming", "0.15.3"), ("mode-streaming", "0.7.1"), ("aiokafka", "0.14.0")],
)
def test_the_versions_are_those_whose_source_was_read(package: str, pinned: str) -> None:
    assert version(package) == pinned


@pytest.mark.parametrize(
    ("caller", "hook"),
    [
        (faust_consumer.Fetcher._fetcher, "consumer._drain_messages"),
        (Recovery._resume_streams, "consumer.perform_seek"),
        (faust.App._consumer_wait_empty, "consumer.wait_empty"),
        (faust.App._on_partitions_revoked, "self._consumer_wait_empty"),
        (faust.App._stop_consumer, "self._consumer_wait_empty"),
        (faust_consumer.Consumer.commit, "self.force_commit"),
        (faust_consumer.Consumer._commit_handler, "self.commit"),
        (faust_consumer.ThreadDelegateConsumer.threadsafe_partitions_revoked, "self.on_partitions_revoked"),
        (faust_consumer.ThreadDelegateConsumer.__init__, "self._new_consumer_thread"),
        (driver.AIOKafkaConsumerThread._create_consumer, "self._create_worker_consumer"),
        (driver.AIOKafkaConsumerThread.commit, "self._commit"),
        (faust.App._new_consumer, "self.transport.create_consumer"),
        (faust.App.transport.fget, "self._new_transport"),
    ],
)
def test_faust_still_calls_our_hooks(caller: object, hook: str) -> None:
    source = inspect.getsource(getattr(caller, "fun", caller))
    assert hook in source.replace("cast(_App, self.app)", "app")


def test_our_consumer_is_the_one_that_is_made() -> None:
    assert LosslessTransport.Consumer is LosslessConsumer


def test_aiokafka_still_tells_where_the_fetcher_stands() -> None:
    assert "partitions" in inspect.signature(AIOKafkaFetcher.fetched_records).parameters
    assert isinstance(TopicPartitionState.has_valid_position, property)
    assert "_position" in inspect.getsource(TopicPartitionState.__init__)
    assert inspect.iscoroutinefunction(GroupCoordinator._do_heartbeat)
    assert hasattr(aiokafka.AIOKafkaConsumer, "beginning_offsets")


@pytest.mark.parametrize(
    ("committed", "offset"),
    [(None, None), ((7, ""), 7), ((7, "a/4"), 7), ((7, "a/2"), 7), ((7, "b/4"), None), ((7, "no note"), 7)],
)
def test_a_committed_offset_counts_for_the_topic_that_it_was_noted_of(
    committed: tuple[int, str] | None, offset: int | None
) -> None:
    consumer: Any = SimpleNamespace(app=SimpleNamespace(layout={"t": Identity("a", 4)}))
    assert LosslessConsumer._counted(consumer, TopicPartition("t", 0), committed) == offset


@pytest.mark.parametrize("stops", [True, False])
async def test_a_read_that_is_cancelled_is_a_crash_only_where_the_worker_does_not_stop(stops: bool) -> None:
    async def poll(*_: object) -> None:
        raise asyncio.CancelledError

    app = SimpleNamespace(should_stop=stops, conf=SimpleNamespace(broker_max_poll_records=1))
    consumer: Any = SimpleNamespace(
        app=app,
        should_stop=False,
        flow_active=True,
        consumer_stopped_errors=(),
        _wanted=lambda: {("t", 0)},
        _thread=SimpleNamespace(poll=poll),
    )
    with nullcontext() if stops else pytest.raises(asyncio.CancelledError):
        await LosslessConsumer._drain_messages(consumer, SimpleNamespace(should_stop=False))


async def test_a_stage_that_asks_for_the_ends_of_topics_waits_for_a_broker_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus.insisting, "PAUSE", 0.0)
    answers = iter([KafkaTimeoutError(), NodeNotReadyError(), {TopicPartition("t", 0): 7}])

    async def end_offsets(_: object) -> Any:
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    consumer: Any = SimpleNamespace(_thread=SimpleNamespace(end_offsets=end_offsets))
    assert await LosslessConsumer.end_offsets(consumer, [TopicPartition("t", 0)]) == {TopicPartition("t", 0): 7}


async def test_a_worker_whose_reader_has_crashed_commits_nothing_and_ends() -> None:
    ledger = SimpleNamespace(durable=2, committed=1, revoked=False)
    closed = SimpleNamespace(thread_loop=SimpleNamespace(is_closed=lambda: True))
    consumer: Any = SimpleNamespace(ledgers={TopicPartition("t", 0): ledger}, _thread=closed)
    assert not await LosslessConsumer.force_commit(consumer)
    assert ledger.committed == 1


class Reader:
    """A consumer of `t`, of which retention has deleted the records from 3 to 6. `log` is what it does, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.told: list[tuple[Any, ...]] = []
        self.ledgers: dict[TopicPartition, Any] = {}
        self.skipped_at: float | None = None
        self.ready = False
        self.is_written = asyncio.Event()
        losses = SimpleNamespace(tell=self._tell)
        self.app = SimpleNamespace(
            consumer_generation_id=1, layout={}, losses=losses, fits=self._fits, inboxes={"t": self}
        )
        self._thread = SimpleNamespace(
            committed_offsets=self._committed, log_bounds=self._bounds, seek_all=self._seek_all
        )
        self._inboxes = self.app.inboxes
        self.assignment = lambda: {TopicPartition("t", 0)}
        for name in ("_counted", "_start", "_tell_skipped"):
            setattr(self, name, getattr(LosslessConsumer, name).__get__(self))

    def expect(self, tp: TopicPartition, more: bool) -> None:
        """As the inbox of `t`."""

    def wake(self) -> None:
        """As the inbox of `t`."""

    async def _fits(self, _: object) -> bool:
        return True

    async def _committed(self, tps: list[TopicPartition]) -> Any:
        return dict.fromkeys(tps, (3, ""))

    async def _bounds(self, tps: Any) -> Any:
        return dict.fromkeys(tps, (7, 9))

    async def _seek_all(self, offsets: Any) -> None:
        self.log.append(f"read from {offsets[TopicPartition('t', 0)]}")

    def _tell(self, *gap: Any) -> asyncio.Task[None]:
        self.told.append(gap)
        return asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        await self.is_written.wait()
        self.log.append("loss recorded")


async def test_a_partition_with_a_loss_is_read_and_committed_only_once_the_loss_is_recorded() -> None:
    reader: Any = Reader()
    starting = asyncio.ensure_future(LosslessConsumer.perform_seek(reader))
    await asyncio.sleep(0.01)
    assert (reader.told, reader.ledgers, reader.log) == ([("t", 0, 3, 7)], {}, [])
    reader.is_written.set()
    await starting
    assert reader.log == ["loss recorded", "read from 7"]


async def test_records_that_are_deleted_while_they_wait_are_passed_over_only_once_the_loss_is_recorded() -> None:
    reader: Any = Reader()
    tp = TopicPartition("t", 0)
    ledger = reader.ledgers[tp] = Ledger(tp, 3, 1)
    correcting = asyncio.ensure_future(LosslessConsumer._correct(reader, {tp: 7}))
    await asyncio.sleep(0.01)
    assert (reader.told, ledger.durable, reader.log) == ([("t", 0, 3, 7)], 3, [])
    reader.is_written.set()
    await correcting
    assert (ledger.expected, reader.log) == (7, ["loss recorded", "read from 7"])


async def test_partitions_that_moved_while_a_loss_was_recorded_are_left_to_their_new_owner() -> None:
    reader: Any = Reader()
    starting = asyncio.ensure_future(LosslessConsumer.perform_seek(reader))
    await asyncio.sleep(0.01)
    reader.app.consumer_generation_id = 2
    reader.is_written.set()
    await starting
    assert reader.ledgers == {}


class Polled:
    """A consumer of `t`, which expects offset 3 next, and whose log begins at 0. It keeps what it admits."""

    def __init__(self, first: int = 0) -> None:
        self.ledger = Ledger(T0, 3, 1)
        self.ledgers = {T0: self.ledger}
        self.admitted: list[int] = []
        self.flow_active = True
        self._inboxes = {"t": self}
        self._thread = SimpleNamespace(log_bounds=self._bounds)
        self._first = first

    def put(self, ledger: Ledger, records: list[Any]) -> None:
        """As the inbox of `t`."""
        self.admitted += [record.offset for record in records]

    async def _bounds(self, tps: Any) -> Any:
        return dict.fromkeys(tps, (self._first, 9))

    async def poll(self, *offsets: int, begin: int, end: int) -> None:
        """Handle a poll that began and ended at these positions and returned records with these offsets."""
        consumer: Any = self
        records = [SimpleNamespace(offset=offset) for offset in offsets]
        LosslessConsumer._admit(consumer, T0, records)
        await LosslessConsumer._pass_over(consumer, {T0: records}, {T0: ReadPosition(begin, end, 9)})


T0 = TopicPartition("t", 0)


async def test_a_record_behind_the_marker_of_a_transaction_is_admitted() -> None:
    polled = Polled()
    await polled.poll(3, 5, 6, begin=3, end=8)
    assert (polled.admitted, polled.ledger.expected) == ([3, 5, 6], 8)


async def test_a_marker_at_the_end_is_passed_over() -> None:
    polled = Polled()
    await polled.poll(begin=3, end=4)
    assert (polled.ledger.expected, polled.ledger.durable) == (4, 4)


async def test_what_a_poll_from_elsewhere_left_out_is_not_passed_over() -> None:
    polled = Polled()
    await polled.poll(5, 6, begin=5, end=7)
    assert (polled.admitted, polled.ledger.expected) == ([], 3)


async def test_what_retention_has_deleted_is_not_passed_over() -> None:
    polled = Polled(first=5)
    await polled.poll(5, 6, begin=3, end=7)
    assert (polled.admitted, polled.ledger.expected) == ([], 3)


async def test_nothing_is_passed_over_once_partitions_are_about_to_move() -> None:
    polled = Polled()
    polled.flow_active = False
    await polled.poll(5, begin=3, end=6)
    assert (polled.admitted, polled.ledger.expected) == ([], 3)
