"""Topics that got more partitions or were recreated, and what workers do at their next start."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.admin import Admin
from bus.settings import BusSettings
from schemas.records import AccountConfig, ListConfig, MessageSent
from tests.cluster import Cluster, made_anew
from tests.patience import PATIENCE
from trackly.commands.broker import partitions_of

pytestmark = pytest.mark.broker

CONFIGS = [AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number="+18005550001")]


def message(number: int) -> MessageSent:
    return MessageSent(
        message_id=f"own-{number}", account="acme", provider="infobip", provider_message_id=f"m{number}",
        list_number="+18005550001", to=f"+1555100{number:04d}", unique_args={}, links=(), sent_at=1_780_000_000_000,
    )  # fmt: skip


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(bus_settings, tmp_path) as cluster:
        asyncio.run(cluster.configure([*CONFIGS]))
        yield cluster


def process(cluster: Cluster, *numbers: int) -> None:
    """Let streams process these messages, and stop it."""
    cluster.start("streams-1")
    cluster.wait_ready()
    for number in numbers:
        cluster.send("messages", message(number), f"acme:+1555100{number:04d}".encode())
    for number in numbers:
        cluster.wait_for("sent", object, f"own-{number}'")
    until = time.monotonic() + PATIENCE
    with Admin(cluster.settings, PATIENCE) as admin:
        while sum(admin.lag(cluster.settings.group("streams")).values()):
            assert time.monotonic() < until
            time.sleep(0.2)
    cluster.stop("streams-1")


def ended(cluster: Cluster, service: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a service that should end by itself."""
    return subprocess.run(
        cluster.command(service),
        env={**cluster.environment, **changes},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def raise_partitions(cluster: Cluster, count: int, *topics: str) -> None:
    with Admin(cluster.settings, PATIENCE) as admin:
        names = [cluster.settings.catalogue[topic].name for topic in topics]
        admin._client.create_partitions(dict.fromkeys(names, count))
        until = time.monotonic() + PATIENCE
        while any(identity.partitions != count for identity in admin.identities(names).values()):
            assert time.monotonic() < until
            time.sleep(0.1)


def shared(cluster: Cluster) -> list[str]:
    return [key for key, topic in cluster.settings.catalogue.items() if topic.shares_partitions]


@pytest.mark.parametrize("service", ["ingest", "streams", "sinks", "console", "read-model"])
def test_no_service_starts_on_topics_with_different_counts(cluster: Cluster, service: str) -> None:
    raise_partitions(cluster, 6, "inbound")
    refusal = ended(cluster, service)
    assert refusal.returncode == 1
    assert "sms.inbound has 6" in refusal.stderr
    assert "trackly topics grow" in refusal.stderr
    assert "Traceback" not in refusal.stderr


def test_streams_do_not_start_when_all_topics_and_the_setting_were_raised(cluster: Cluster) -> None:
    process(cluster, 1, 2, 3)
    raise_partitions(cluster, 8, *shared(cluster))
    refusal = ended(cluster, "streams", TRACKLY_PARTITIONS="8", TRACKLY_INSTANCE_ID="streams-1")
    assert refusal.returncode == 1
    assert "had 4 partitions" in refusal.stderr
    assert "trackly topics grow" in refusal.stderr


def test_the_count_is_known_though_the_disk_was_lost(cluster: Cluster) -> None:
    process(cluster, 1, 2, 3)
    raise_partitions(cluster, 8, *shared(cluster))
    ended = cluster.trackly(
        "streams", TRACKLY_PARTITIONS="8", TRACKLY_DATA_DIR=f"{cluster.environment['TRACKLY_DATA_DIR']}/2"
    )
    assert ended.returncode == 1
    assert "had 4 partitions" in ended.stderr


def test_an_input_that_was_made_anew_is_read_from_its_start_however_long_it_is(cluster: Cluster) -> None:
    process(cluster, *range(8))
    made_anew(cluster.settings, "messages")
    for number in range(10, 34):
        cluster.send("messages", message(number), f"acme:+1555100{number:04d}".encode())
    cluster.start("streams-1")
    for number in range(10, 34):
        cluster.wait_for("sent", object, f"own-{number}'")


def test_streams_do_not_start_on_a_changelog_that_was_made_anew(cluster: Cluster) -> None:
    process(cluster, 1, 2, 3)
    made_anew(cluster.settings, "table_messages")
    cluster.start("streams-1")
    process_of = cluster.services["streams-1"].process
    assert process_of is not None
    assert process_of.wait(PATIENCE) == 1
    log = cluster.services["streams-1"].last_lines(1_000)
    assert "was deleted and recreated" in log
    assert "trackly tables rebuild-from-contacts" in log


def test_the_broker_command_finds_how_many_partitions_the_topics_have(bus_settings: BusSettings) -> None:
    assert partitions_of(bus_settings) is None
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    assert partitions_of(bus_settings) == bus_settings.partitions
