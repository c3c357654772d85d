"""An erased number disappears from the logs of compacted topics, even quiet ones: from keys and values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from msgspec.structs import replace

from bus.admin import Admin
from bus.settings import BusSettings
from schemas.ids import recipient_key
from schemas.records import AccountConfig, ContactPlace, Link, ListConfig, MessageSent
from schemas.samples import sample
from streams.cleaning import KEY
from tests.cluster import Cluster
from tests.patience import PATIENCE
from trackly.commands.erase.remains import TOPICS, remains

pytestmark = pytest.mark.broker

LIST, NUMBER = "+18005550001", "+15551230077"
SOON = {"segment.ms": "1000", "max.compaction.lag.ms": "1000", "delete.retention.ms": "1000"}
"""What a week and a day are to topics of this test."""


@contextmanager
def cleaned_soon(settings: BusSettings) -> Iterator[None]:
    """Make Kafka close segments of topics with numbers after a second, and clean them at once."""
    with Admin(settings, PATIENCE) as admin:
        names = [settings.catalogue[topic].name for topic in TOPICS]
        admin._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, SOON) for name in names])
        often = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "200"})
        admin._client.alter_configs([often])
    try:
        yield
    finally:
        with Admin(settings, PATIENCE) as admin:
            usual = {"log.cleaner.backoff.ms": ("DELETE", None)}
            admin._client.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", usual)])


@pytest.fixture
def running(bus_settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    secret = "a secret of the tests"
    with Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY=secret) as cluster, cleaned_soon(bus_settings):
        configs = [AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST)]
        asyncio.run(cluster.configure([*configs]))
        cluster.start("streams-1")
        cluster.wait_ready()
        yield cluster


def holding(cluster: Cluster) -> set[str]:
    """Return the topics (without the prefix) whose logs contain the number."""
    left = asyncio.run(remains(cluster.settings, "acme", NUMBER))
    return {each.topic.removeprefix(cluster.settings.topic_prefix) for each in left}


def test_an_erased_number_leaves_the_logs_of_quiet_partitions(running: Cluster) -> None:
    message = sample("MessageSent")
    assert isinstance(message, MessageSent)
    message = replace(
        message,
        account="acme",
        provider="infobip",
        provider_message_id="p-1",
        to=NUMBER,
        list_number=LIST,
        links=(Link("click-1", "https://acme.example"),),
    )
    key = recipient_key("acme", NUMBER)
    running.send("messages", message, key)
    running.send("places", ContactPlace(account="acme", phone_number=NUMBER, state="TX", given_at=1), key)
    removed = running.trackly("contact", "remove", "acme", LIST, NUMBER)
    assert removed.returncode == 0, removed.stderr
    everywhere = {
        running.settings.catalogue[topic].name.removeprefix(running.settings.topic_prefix) for topic in TOPICS
    }
    deadline = time.monotonic() + PATIENCE
    while holding(running) != everywhere:
        assert time.monotonic() < deadline, everywhere - holding(running)
    assert running.trackly("erase", "acme", NUMBER, "--yes").returncode == 0

    while left := holding(running):
        assert time.monotonic() < deadline + PATIENCE, left
        time.sleep(0.5)
    assert running.trackly("erase", "acme", NUMBER, "--verify").returncode == 0

    # What it took is of nobody, and does not pile up.
    fillers = [record for record in running.stored("contacts") if record.key == KEY]
    assert fillers
    assert all(record.value is None for record in fillers)
    assert len(fillers) < 20 * running.settings.partitions
    running.stop("streams-1")
    running.start("streams-1")
    running.wait_ready()
