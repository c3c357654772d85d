"""The private hooks of faust-streaming and aiokafka that `bus.offsets` stands on.

The pinned versions are checked first: when they are raised, read `bus/offsets.py` against the new source.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher as AIOKafkaFetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

from bus.offsets import LosslessConsumer, LosslessTransport


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
