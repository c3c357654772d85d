"""What retention deletes before it was read is told to people, once, however long the service was down."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from bus.admin import Admin
from bus.losses import Loss, loss_of
from bus.settings import BusSettings
from schemas.records import AuditEntry
from tests.broker.test_growth import write_raw
from tests.broker.test_layout import CONFIGS
from tests.cluster import Cluster
from tests.patience import PATIENCE
from tests.sink_house import Kafka

pytestmark = pytest.mark.broker


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY="a key of the tests") as cluster:
        asyncio.run(cluster.configure([*CONFIGS]))
        yield cluster


def deleted(settings: BusSettings, topic: str) -> None:
    """Delete everything on a topic (catalogue short name), as retention does."""
    name = settings.catalogue[topic].name
    with Admin(settings, PATIENCE) as admin:
        client: Any = admin._client
        ends = admin.end_offsets(name)
        client.delete_records({TopicPartition(name, partition): end for partition, end in ends.items()})


def losses(cluster: Cluster) -> list[Loss]:
    entries = [record for record in cluster.records("audit") if isinstance(record, AuditEntry)]
    return [loss for entry in entries if (loss := loss_of(entry)) is not None]


def run_streams(cluster: Cluster) -> None:
    """Start streams, wait until it has committed, and stop it."""
    cluster.start("streams-1")
    cluster.wait_ready()
    with Admin(cluster.settings, PATIENCE) as admin:
        until = time.monotonic() + PATIENCE
        while len(admin.group_offsets(cluster.settings.group("streams"))) < 4 * 8:
            assert time.monotonic() < until
            time.sleep(0.2)
    cluster.stop("streams-1")


@pytest.mark.parametrize("has_run_before", [True, False])
def test_callbacks_that_were_deleted_unread_are_told_once_with_the_remedy(
    cluster: Cluster, has_run_before: bool
) -> None:
    if has_run_before:
        run_streams(cluster)
    for _ in range(3):
        write_raw(cluster, 2)
    deleted(cluster.settings, "raw")
    for _ in range(2):
        run_streams(cluster)
    group, raw = cluster.settings.group("streams"), cluster.settings.catalogue["raw"].name
    assert losses(cluster) == [Loss(group, raw, 2, 0, 3, uncertain=not has_run_before)]
    told = [json.loads(line) for line in cluster.trackly("doctor", "--json").stdout.splitlines()]
    (finding,) = [each for each in told if each["area"] == "losses"]
    assert (finding["level"], raw in finding["text"]) == ("warning", True)
    assert "lists of opt-outs" in finding["remedy"]


async def test_webhooks_that_were_deleted_while_they_waited_are_told(
    settings: BusSettings, kafka: Kafka, start_sinks: Any, tmp_path: Path
) -> None:
    tier = settings.catalogue["webhooks_retry.1s"]
    await kafka.raw("webhooks_retry.1s", b"a webhook", key=b"acme/crm")
    await asyncio.to_thread(deleted, settings, "webhooks_retry.1s")
    start_sinks()
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        while not found:
            await asyncio.sleep(0.3)
            entries = [kafka.codec.decode(record.value) for record in await asyncio.to_thread(kafka.read, "audit")]
            found = [loss for entry in entries if isinstance(entry, AuditEntry) and (loss := loss_of(entry))]
    assert [(loss.topic, loss.count) for loss in found] == [(tier.name, 1)]
