"""A producer continues after a broker refused a record: it never gets stuck until someone restarts it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidTimestampError, KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import PidAndEpoch

import bus.outstanding
import bus.producer
from bus.admin import Admin
from bus.embedded.broker import EmbeddedKafka
from bus.errors import PartitionsLost
from bus.producer import Addressed, Keyed, Producer, partition_of
from bus.settings import BusSettings
from ingest.writer import CallbackWriter, NotStored
from schemas.records import RawCallback
from tests.cluster import CODEC, stored
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

TOPIC = "webhooks_due"
RAW = RawCallback("evt_1", "infobip", "acme", "POST", "/", "", {}, None, b"{}", "127.0.0.1", 1)
Ahead = Callable[[], AbstractContextManager[None]]


@pytest.fixture
async def producer(bus_settings: BusSettings) -> AsyncIterator[Producer]:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    producer = Producer(bus_settings, linger_ms=5, delivery_timeout=10.0)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def topic(bus_settings: BusSettings) -> str:
    return bus_settings.catalogue[TOPIC].name


@pytest.fixture
def too_large(bus_settings: BusSettings) -> bytes:
    """Return a record that the client accepts and the broker refuses."""
    return os.urandom(bus_settings.catalogue[TOPIC].max_message_bytes + 1_000)


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    """During the block, the clock that timestamps records is two hours ahead."""

    @contextmanager
    def block() -> Iterator[None]:
        with monkeypatch.context() as patched:
            append = BatchBuilder.append
            late = int((time.time() + 2 * 3_600) * 1_000)
            patched.setattr(BatchBuilder, "append", lambda self, **given: append(self, **{**given, "timestamp": late}))
            yield

    return block


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Yield a broker that may be frozen."""
    with EmbeddedKafka(tmp_path_factory.mktemp("own")) as kafka:
        yield kafka


@pytest.fixture
def own_settings(own_broker: EmbeddedKafka, topic_prefix: str) -> BusSettings:
    settings = BusSettings(bootstrap_servers=own_broker.bootstrap_servers, topic_prefix=topic_prefix, partitions=4)
    with Admin(settings, PATIENCE) as admin:
        admin.apply(settings.catalogue)
    return settings


@pytest.fixture
def frozen(own_broker: EmbeddedKafka) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """During the block, the broker keeps its connections and answers nothing."""

    @contextmanager
    def block() -> Iterator[None]:
        assert own_broker.pid is not None
        os.kill(own_broker.pid, signal.SIGSTOP)
        await_frozen(own_broker.pid)
        try:
            yield
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)

    yield block
    with warnings.catch_warnings():
        # aiokafka forgets a connection that it was making while its client was closed.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def await_frozen(pid: int) -> None:
    """Wait until every thread of a process has stopped: on a busy machine, one may answer once more."""
    threads = [path / "stat" for path in Path(f"/proc/{pid}/task").iterdir()]
    while any(thread.read_text().rpartition(")")[2].split()[0] != "T" for thread in threads):
        time.sleep(0.01)


async def send(producer: Producer, topic: str, value: bytes, partition: int = 1) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await (await producer.send(topic, value, partition=partition))


async def choose_leaders(settings: BusSettings, *topics: str) -> None:
    """Wait until new topics accept records, however long that takes on this machine."""
    patient = Producer(settings)
    await patient.start()
    for topic in topics:
        for partition in (0, 1):
            await (await patient.send(settings.catalogue[topic].name, b"first", partition=partition))
    await patient.stop()


async def dies(*arguments: object) -> None:
    raise ValueError("a bug")


def values(settings: BusSettings, partition: int = 1) -> list[bytes]:
    return [record.value for record in stored(settings, TOPIC) if record.partition == partition]


async def test_after_a_record_that_is_too_large_for_the_broker_others_are_taken(
    producer: Producer, topic: str, too_large: bytes, bus_settings: BusSettings
) -> None:
    await send(producer, topic, b"before")
    with pytest.raises(MessageSizeTooLargeError):
        await send(producer, topic, too_large)
    for value in (b"after", b"and on"):
        await send(producer, topic, value)
    assert values(bus_settings) == [b"before", b"after", b"and on"]
    assert producer.renewals == 1


async def test_after_a_time_that_the_broker_does_not_take_others_are_taken(
    producer: Producer, topic: str, bus_settings: BusSettings, ahead: Ahead
) -> None:
    await send(producer, topic, b"before")
    with ahead(), pytest.raises(InvalidTimestampError):
        await send(producer, topic, b"from a clock that is ahead")
    await send(producer, topic, b"after")
    assert values(bus_settings) == [b"before", b"after"]


async def test_after_a_batch_that_is_refused_others_are_taken(
    producer: Producer, topic: str, bus_settings: BusSettings, ahead: Ahead
) -> None:
    batch = [Keyed(b"key", b"%d" % number, []) for number in range(3)]
    with ahead(), pytest.raises(InvalidTimestampError):
        await producer.send_batch(topic, 1, batch)
    async with asyncio.timeout(PATIENCE):
        await producer.send_batch(topic, 1, batch)
    assert values(bus_settings) == [b"0", b"1", b"2"]


async def test_what_was_taken_stands_in_the_order_in_which_it_was_sent(
    producer: Producer, topic: str, too_large: bytes, bus_settings: BusSettings
) -> None:
    sent: list[tuple[int, bytes, asyncio.Future[Any]]] = []
    async with asyncio.timeout(PATIENCE):
        for number in range(600):
            for partition in (1, 2):
                refused = number in (100, 101, 350) and partition == 1
                value = too_large if refused else b"%d" % number
                sent.append((partition, value, await producer.send(topic, value, partition=partition)))
        outcomes = await asyncio.gather(*(future for _, _, future in sent), return_exceptions=True)
    failed = [
        (p, value) for (p, value, _), outcome in zip(sent, outcomes, strict=True) if isinstance(outcome, Exception)
    ]
    assert failed == [(1, too_large)] * 3
    # What was sent behind them is stored, in its order, and nothing twice.
    assert values(bus_settings, 1) == [b"%d" % number for number in range(600) if number not in (100, 101, 350)]
    assert values(bus_settings, 2) == [b"%d" % number for number in range(600)]
    await send(producer, topic, b"and on")
    assert values(bus_settings, 1)[-1] == b"and on"


async def test_batches_behind_a_refused_record_are_sent_again_in_their_order(
    producer: Producer, topic: str, too_large: bytes, bus_settings: BusSettings
) -> None:
    batches = [[Keyed(b"key", b"%d" % (20 * batch + number), []) for number in range(20)] for batch in range(5)]
    async with asyncio.timeout(PATIENCE):
        refused = await producer.send(topic, too_large, partition=1)
        await asyncio.gather(*(producer.send_batch(topic, 1, batch) for batch in batches))
    with pytest.raises(MessageSizeTooLargeError):
        await refused
    assert values(bus_settings) == [b"%d" % number for number in range(100)]


async def test_what_waits_for_room_in_a_producer_that_is_replaced_goes_to_the_next_one_at_once_and_in_order(
    topic: str, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    patient = Producer(bus_settings, delivery_timeout=PATIENCE)
    await patient.start()
    replaced = patient._producer
    place, queued = TopicPartition(topic, 1), replaced._message_accumulator

    async def flush() -> None:
        """Nothing is queued when the producer is told to stop, but soon."""

    monkeypatch.setattr(queued, "flush", flush)
    replaced._sender._muted_partitions.add(place)
    batches = [[Keyed(b"key", b"%d" % (20 * batch + number), []) for number in range(20)] for batch in range(3)]
    sends = [asyncio.create_task(patient.send_batch(topic, 1, batch)) for batch in batches]
    while not queued._batches[place]:
        await asyncio.sleep(0)
    patient._renew(replaced, KafkaError("made to fail"))
    async with asyncio.timeout(PATIENCE / 3):
        await asyncio.gather(*sends)
    await patient.stop()
    assert values(bus_settings) == [b"%d" % number for number in range(60)]


async def test_records_of_many_places_go_out_together_each_to_its_partition_in_their_order(
    producer: Producer, topic: str, bus_settings: BusSettings
) -> None:
    keyed = [Addressed(topic, b"k%d" % number, key=b"key") for number in range(3)]
    placed = [Addressed(topic, b"p%d" % number, partition=3) for number in range(3)]
    large = Addressed(topic, b"x" * 200_000, partition=3)  # more than a batch holds
    async with asyncio.timeout(PATIENCE):
        await producer.send_all([keyed[0], placed[0], large, keyed[1], placed[1], keyed[2], placed[2]])
    place = partition_of(b"key", bus_settings.partitions)
    assert place != 3
    assert values(bus_settings, place) == [b"k0", b"k1", b"k2"]
    assert values(bus_settings, 3) == [b"p0", large.value, b"p1", b"p2"]


async def test_a_batch_tells_the_offset_of_its_last_record(producer: Producer, topic: str) -> None:
    batch = [Keyed(b"key", b"x" * 50_000) for _ in range(5)]
    async with asyncio.timeout(PATIENCE):
        assert await producer.send_batch(topic, 1, batch) == 4
        assert await producer.send_batch(topic, 1, batch[:1]) == 5


class Group:
    """A consumer group, as a producer is told of it."""

    def __init__(self) -> None:
        self.generation = 1
        self.is_silent = False
        self.asked = 0

    async def confirm(self, generation: int) -> None:
        self.asked += 1
        if self.is_silent:
            await asyncio.Event().wait()
        if generation != self.generation:
            raise PartitionsLost(f"the group has moved on from generation {generation}")


@pytest.fixture
async def group() -> Group:
    return Group()


@pytest.fixture
async def worker(topic: str, bus_settings: BusSettings, group: Group) -> AsyncIterator[Producer]:
    """Yield the producer of a member of the group."""
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    producer = Producer(bus_settings, confirm=group.confirm)
    await producer.start()
    yield producer
    await producer.stop()


def keyed(*numbers: int) -> list[Keyed]:
    return [Keyed(b"key", b"%d" % number) for number in numbers]


async def test_records_of_a_generation_are_sent_while_it_lasts(
    worker: Producer, topic: str, bus_settings: BusSettings, group: Group
) -> None:
    async with asyncio.timeout(PATIENCE):
        await worker.send_batch(topic, 1, keyed(1, 2), 1)
        await worker.send_all([Addressed(topic, b"3", partition=1)], 1)
    assert values(bus_settings) == [b"1", b"2", b"3"]
    assert worker.renewals == 0
    assert group.asked >= 2


async def test_nothing_of_a_generation_that_is_over_is_sent_and_nothing_else_is_lost(
    worker: Producer, topic: str, bus_settings: BusSettings, group: Group
) -> None:
    group.generation = 2
    async with asyncio.timeout(PATIENCE):
        over = [asyncio.create_task(worker.send_batch(topic, partition, keyed(1, 2), 1)) for partition in (1, 2)]
        lasting = asyncio.create_task(worker.send_batch(topic, 1, keyed(3), 2))
        of_none = await worker.send(topic, b"4", partition=1)
        for each in over:
            with pytest.raises(PartitionsLost):
                await each
        await lasting
        await of_none
        await worker.send_batch(topic, 2, keyed(5), 2)
    assert sorted(values(bus_settings)) == [b"3", b"4"]
    assert values(bus_settings, 2) == [b"5"]
    assert (worker.renewals, worker.failures) == (1, {})


async def test_a_producer_that_waits_for_its_group_sends_nothing_and_ends_in_time(
    worker: Producer, topic: str, bus_settings: BusSettings, group: Group
) -> None:
    group.is_silent = True
    worker._timeout = 1.0
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(KafkaTimeoutError):
            await worker.send_batch(topic, 1, keyed(1), 1)
        worker._timeout = PATIENCE
        await send(worker, topic, b"and on")
    assert values(bus_settings) == [b"and on"]


async def test_a_fenced_producer_loses_nothing(producer: Producer, topic: str, bus_settings: BusSettings) -> None:
    await send(producer, topic, b"before")
    numbers = producer._producer._txn_manager
    numbers._pid_and_epoch = PidAndEpoch(numbers.producer_id, numbers.producer_epoch - 1)
    for value in (b"refused at first", b"after"):
        await send(producer, topic, value)
    assert values(bus_settings) == [b"before", b"refused at first", b"after"]


async def test_what_a_producer_had_whose_sender_has_died_is_sent_again(
    producer: Producer, topic: str, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer._producer._sender, "_send_produce_req", dies)
    for value in (b"first", b"after"):
        await send(producer, topic, value)
    assert values(bus_settings) == [b"first", b"after"]


async def test_a_record_of_which_every_sender_dies_fails(
    producer: Producer, topic: str, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Sender, "_send_produce_req", dies)
        with pytest.raises(KafkaError):
            await send(producer, topic, b"lost, and said so")
    await send(producer, topic, b"after")
    assert values(bus_settings) == [b"after"]


async def test_what_is_not_acknowledged_in_time_fails_and_is_not_stored_later(
    frozen: Callable[[], AbstractContextManager[None]], own_settings: BusSettings
) -> None:
    await choose_leaders(own_settings, TOPIC)
    hasty, topic = Producer(own_settings, delivery_timeout=2.0), own_settings.catalogue[TOPIC].name
    await hasty.start()
    await send(hasty, topic, b"before")
    with frozen():
        began = time.monotonic()
        on_its_way = await hasty.send(topic, b"the broker has it and has not answered", partition=1)
        await asyncio.sleep(0.2)
        behind = await hasty.send(topic, b"too late", partition=1)
        outcomes = await asyncio.gather(on_its_way, behind, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [KafkaTimeoutError] * 2
        assert 2.0 <= time.monotonic() - began < 10.0
        with pytest.raises(KafkaTimeoutError):
            await send(hasty, topic, b"asked while there is no producer")
    await send(hasty, topic, b"after")
    await hasty.stop()
    stored = values(own_settings)
    assert b"after" in stored
    assert not {b"too late", b"asked while there is no producer"} & set(stored)


async def test_a_record_that_others_overtake_is_sent_by_another_producer(
    bus_settings: BusSettings, producer: Producer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await choose_leaders(bus_settings, TOPIC)
    monkeypatch.setattr(bus.outstanding, "OVERTAKEN", 1.0)
    producer._timeout = 60.0
    producer._producer._sender._muted_partitions.add(TopicPartition(topic, 1))
    kept_back = asyncio.create_task(send(producer, topic, b"kept back", partition=1))
    while not kept_back.done():
        await send(producer, topic, b"others", partition=0)
        await asyncio.sleep(0.05)
    await kept_back
    assert values(bus_settings) == [b"first", b"kept back"]
    assert producer.renewals == 1


async def test_a_request_that_never_ends_does_not_keep_a_record_back(
    bus_settings: BusSettings, producer: Producer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await choose_leaders(bus_settings, TOPIC)
    monkeypatch.setattr(bus.outstanding, "OVERTAKEN", 1.0)
    monkeypatch.setattr(bus.producer, "REQUESTS_END", 0.5)
    await send(producer, topic, b"others", partition=0)
    aiokafka_producer, never = producer._producer, asyncio.Event()
    request = aiokafka_producer._sender._send_produce_req

    async def hangs(node: int, batches: dict[TopicPartition, Any]) -> None:
        await never.wait()

    monkeypatch.setattr(aiokafka_producer._sender, "_send_produce_req", hangs)
    kept_back = asyncio.create_task(send(producer, topic, b"kept back", partition=1))
    await asyncio.sleep(0.1)
    monkeypatch.setattr(aiokafka_producer._sender, "_send_produce_req", request)
    aiokafka_producer._sender._in_flight.clear()
    while not kept_back.done():
        await send(producer, topic, b"others", partition=0)
        await asyncio.sleep(0.05)
    await kept_back
    assert values(bus_settings) == [b"first", b"kept back"]
    assert producer.renewals == 1


async def test_a_producer_says_for_how_long_nothing_was_acknowledged(
    frozen: Callable[[], AbstractContextManager[None]], own_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.outstanding, "WAITS_LONG", 1.0)
    producer = Producer(own_settings)
    await producer.start()
    with frozen():
        waits = asyncio.create_task(send(producer, own_settings.catalogue[TOPIC].name, b"waits"))
        async with asyncio.timeout(PATIENCE):
            while producer.problem() is None:
                await asyncio.sleep(0.05)
        assert producer.waiting > 1.0
        assert "for Kafka's acknowledgment" in (producer.problem() or "")
    await waits
    assert (producer.problem(), producer.waiting) == (None, 0.0)
    await producer.stop()


async def test_a_producer_whose_sends_only_fail_says_so_until_one_does_not(
    bus_settings: BusSettings, producer: Producer, topic: str, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.outstanding, "ONLY_FAILS", 0.0)
    with ahead(), pytest.raises(InvalidTimestampError):
        await send(producer, topic, b"from a clock that is ahead")
    assert producer.problem() == "Kafka rejects what is sent: InvalidTimestampError"
    await send(producer, topic, b"after")
    assert producer.problem() is None


async def test_a_producer_that_cannot_finish_is_given_up_in_bounded_time(
    bus_settings: BusSettings, producer: Producer, topic: str, too_large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await choose_leaders(bus_settings, TOPIC)
    hasty = Producer(bus_settings, delivery_timeout=3.0)
    await hasty.start()
    accumulator = hasty._producer._message_accumulator

    async def never() -> None:
        accumulator._closed = True
        await asyncio.Event().wait()

    monkeypatch.setattr(accumulator, "close", never)
    with pytest.raises(MessageSizeTooLargeError):
        await send(hasty, topic, too_large)
    assert hasty.problem() == "a failed producer is being replaced"
    async with asyncio.timeout(PATIENCE):
        # The replacement takes about as long as a record may wait.
        while not await _is_accepted(hasty, topic, b"after"):
            pass
    assert hasty.problem() is None
    await hasty.stop()


async def _is_accepted(producer: Producer, topic: str, value: bytes) -> bool:
    try:
        await send(producer, topic, value)
    except KafkaTimeoutError:
        return False
    return True


async def test_a_producer_that_is_stopped_while_it_is_replaced_stops(
    bus_settings: BusSettings, producer: Producer, topic: str, too_large: bytes
) -> None:
    with pytest.raises(MessageSizeTooLargeError):
        await send(producer, topic, too_large)
    async with asyncio.timeout(PATIENCE):
        await producer.stop()
    with pytest.raises(KafkaError):
        await send(producer, topic, b"too late")


async def test_no_clock_that_is_wrong_keeps_a_callback_from_being_stored(
    bus_settings: BusSettings, producer: Producer, ahead: Ahead
) -> None:
    writer = CallbackWriter(producer, CODEC, bus_settings.catalogue["raw"], ack_timeout=5.0)
    await writer.start()
    with ahead():
        await writer.write(RAW, None)
    (record,) = stored(bus_settings, "raw")
    assert abs(record.timestamp / 1_000 - time.time()) < 600


async def test_callbacks_are_refused_at_once_while_nothing_is_acknowledged_and_not_stored_later(
    frozen: Callable[[], AbstractContextManager[None]], own_settings: BusSettings
) -> None:
    await choose_leaders(own_settings, "raw")
    producer = Producer(own_settings, delivery_timeout=3.0)
    await producer.start()
    writer = CallbackWriter(producer, CODEC, own_settings.catalogue["raw"], ack_timeout=1.0)
    await writer.start()
    await writer.write(RAW, None, answer_within=3.0)

    async def waits() -> float:
        began = time.monotonic()
        with pytest.raises(NotStored):
            await writer.write(RAW, None)
        return time.monotonic() - began

    with frozen():
        await waits()
        waiting = []
        for _ in range(60):
            waiting.append(asyncio.create_task(waits()))
            await asyncio.sleep(0.1)
        took = await asyncio.gather(*waiting)
    assert sum(seconds > 0.5 for seconds in took) <= 8
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(NotStored):
                await writer.write(RAW, None)
                break
            await asyncio.sleep(0.1)
    await producer.stop()
    # The two that chose leaders, the first, those that were on their way to the broker, and the last.
    assert len(stored(own_settings, "raw")) <= 8
