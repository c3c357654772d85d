"""A worker frozen at the worst moment wakes up long after another one has taken over, and writes nothing of before."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.clock import now_ms
from bus.settings import BusSettings
from schemas.ids import contact_key
from schemas.records import AccountConfig, ContactState, ListConfig, Receipt
from tests.broker.test_nothing_is_abandoned import committed
from tests.cluster import Cluster
from tests.patience import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

LIST, NUMBER = "+18005551234", "+15550000001"
CONTACT = contact_key("acme", LIST, NUMBER)

FREEZING = """
import os, signal, sys
from bus.logs import configure_logging
from bus.sent import Batch
from bus.worker.run import run_worker
from streams.app import create_app
from streams.settings import StreamsSettings

give, topic = Batch.__call__, [sys.argv[1]]

async def freezing(batch, producer):
    given = await give(batch, producer)
    if batch._topic in topic:
        # It is in aiokafka's buffer now, and not sent yet.
        topic.clear()
        os.kill(os.getpid(), signal.SIGSTOP)
    return given

Batch.__call__ = freezing
configure_logging()
sys.exit(run_worker(create_app(StreamsSettings())))
"""


@pytest.fixture
def settings(bus_settings: BusSettings) -> BusSettings:
    return bus_settings.model_copy(update={"partitions": 1})


@pytest.fixture
def cluster(settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(settings, tmp_path, TRACKLY_LINK_WAIT="0", TRACKLY_STREAMS_PORT="0") as cluster:
        configs = [AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number=LIST, retry_threshold=3)]
        asyncio.run(cluster.configure(configs))
        yield cluster


def fail(cluster: Cluster, *numbers: int) -> None:
    """Let a provider report these messages as failed."""
    for n in numbers:
        receipt = Receipt(
            event_id=f"evt_r{n}", account="acme", provider="infobip", provider_message_id=f"m{n}", to=NUMBER,
            from_=LIST, status="rejected", status_detail="REJECTED_OPERATOR", status_class="transient",
            provider_status="REJECTED_OPERATOR", final=True, received_at=now_ms(), raw="{}",
        )  # fmt: skip
        cluster.send("receipts", receipt, NUMBER.encode())


def states(cluster: Cluster) -> list[ContactState]:
    """Return what is published about the contact, in order."""
    return [s for s in cluster.records("contacts") if isinstance(s, ContactState) and s.contact == CONTACT]


def settled(cluster: Cluster) -> int:
    """Return how many receipts have been counted for good."""
    return committed(cluster.settings, "receipts", "streams")


@contextmanager
def frozen(cluster: Cluster, topic: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run streams until it has given its first records for a topic to its client, and freeze it there."""
    command = [sys.executable, "-c", FREEZING, cluster.settings.catalogue[topic].name]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=cluster.environment, stdout=output, stderr=output)
    try:
        until(lambda: Path(f"/proc/{process.pid}/stat").read_text().split()[2] == "T")
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("topic", ["contacts", "table_contacts"])
def test_a_contact_stays_removed_when_a_worker_wakes_up_that_had_counted_less(
    cluster: Cluster, tmp_path: Path, topic: str
) -> None:
    log = tmp_path / "frozen.log"
    fail(cluster, 1)
    with frozen(cluster, topic, log) as worker:
        fail(cluster, 2, 3)
        cluster.start("streams-1")
        until(lambda: settled(cluster) == 3)
        written = cluster.stored(topic)
        worker.send_signal(signal.SIGCONT)
        until(lambda: b"drops batches" in log.read_bytes())
        assert cluster.stored(topic) == written
        # It is a worker like any other again.
        cluster.kill("streams-1")
        fail(cluster, 4)
        until(lambda: settled(cluster) == 4)
    assert [(state.failures, state.active) for state in states(cluster)][-2:] == [(3, False), (4, False)]
