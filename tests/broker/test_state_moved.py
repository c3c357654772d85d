"""State survives a change of partitions or a lost changelog: removed contacts stay removed, and counts continue."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bus.admin import Admin
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.ids import recipient_key
from schemas.records import AccountConfig, ContactState, DeliveryEvent, ListConfig, Record
from streams.normalize import key_of_receipt
from tests.cluster import CODEC, Cluster, made_anew
from tests.patience import PATIENCE
from tests.unit.streams.contact_records import ABSENT, ACCOUNT, DELIVERED, LIST, inbound, message_sent, receipt

pytestmark = pytest.mark.broker

STOPPED = [f"+1555000{n:04d}" for n in range(16)]
FAILING = [f"+1555001{n:04d}" for n in range(8)]
LATE = "+15550020001"
"""Whose STOP is not processed yet when the state is moved."""


def stop(number: str, at: int = 1_000) -> tuple[str, bytes, Record]:
    return "inbound", recipient_key(ACCOUNT, number), inbound("STOP", at, id=f"SM{number}", from_=number)


def fail(number: str, time: int) -> tuple[str, bytes, Record]:
    report = receipt(f"m{number}-{time}", ABSENT, time * 1_000, to=number)
    return "receipts", key_of_receipt(report), report


def send(settings: BusSettings, records: Iterable[tuple[str, bytes, Record]]) -> None:
    async def write() -> None:
        producer = Producer(settings)
        await producer.start()
        sent = [
            await producer.send(settings.catalogue[topic].name, CODEC.encode(record), key=key)
            for topic, key, record in records
        ]
        await asyncio.gather(*sent)
        await producer.stop()

    asyncio.run(write())


def states(cluster: Cluster) -> dict[str, ContactState]:
    """The newest state of each number."""
    newest: dict[str, ContactState] = {}
    for record in cluster.records("contacts"):
        if isinstance(record, ContactState) and record.version >= getattr(
            newest.get(record.phone_number), "version", 0
        ):
            newest[record.phone_number] = record
    return newest


def wait_for(cluster: Cluster, removed: Iterable[str], failures: dict[str, int] | None = None) -> None:
    """Wait until these contacts are removed, and others have this many failures in a row."""
    until = time.monotonic() + PATIENCE
    while True:
        found = states(cluster)
        left = [number for number in removed if number not in found or found[number].active]
        left += [n for n, count in (failures or {}).items() if n not in found or found[n].failures != count]
        if not left:
            return
        assert cluster.services["streams-1"].is_alive(), cluster.services["streams-1"].last_lines(300)
        assert time.monotonic() < until, {number: found.get(number) for number in left}
        time.sleep(0.3)


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    """Streams has processed sixteen opt-outs, two failures each of eight other contacts, and a message; it is
    stopped.
    """
    with Cluster(bus_settings, tmp_path) as cluster:
        registering = AccountConfig(id=ACCOUNT, name="Acme", registers_messages=True)
        asyncio.run(cluster.configure([registering, ListConfig(account=ACCOUNT, number=LIST, retry_threshold=3)]))
        cluster.start("streams-1")
        cluster.wait_ready()
        sent = message_sent("registered", to=FAILING[0])
        send(
            bus_settings,
            [
                *map(stop, STOPPED),
                *(fail(number, time) for time in (1, 2) for number in FAILING),
                ("messages", recipient_key(ACCOUNT, FAILING[0]), sent),
            ],
        )
        wait_for(cluster, STOPPED, dict.fromkeys(FAILING, 2))
        cluster.wait_for("sent", object, "order-77")
        cluster.stop("streams-1")
        yield cluster


def check_that_everything_goes_on(cluster: Cluster) -> None:
    """One more failure removes contacts that failed twice; a failure restores nobody."""
    cluster.start("streams-1")
    cluster.wait_ready()
    send(cluster.settings, [fail(number, 3) for number in (*FAILING, *STOPPED)])
    wait_for(cluster, [*FAILING, *STOPPED])
    assert {state.reason for number, state in states(cluster).items() if number in STOPPED} == {"message"}
    told = [record for record in cluster.records("contacts") if isinstance(record, ContactState)]
    assert not [state for state in told if state.active and state.phone_number in STOPPED]


def test_an_installation_moves_to_more_partitions(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> None:
    send(cluster.settings, [stop(LATE)])
    cluster.start("streams-2")
    until = time.monotonic() + PATIENCE
    while not cluster.services["streams-2"].is_ready():
        assert time.monotonic() < until
        time.sleep(0.1)
    refused = cluster.trackly("topics", "grow", "--prefix", f"{topic_prefix}v2.", "--partitions", "7", "--yes")
    assert "streams runs: stop all its processes first" in refused.stderr
    cluster.kill("streams-2")

    done = cluster.trackly("topics", "grow", "--prefix", f"{topic_prefix}v2.", "--partitions", "7", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written"][f"{topic_prefix}v2.sms.contacts"] >= len(STOPPED)
    again = cluster.trackly("topics", "grow", "--prefix", f"{topic_prefix}v2.", "--partitions", "7", "--yes")
    assert "unused prefix" in again.stderr

    # The directories of the workers' tables are those of before: they are read anew by themselves.
    settings = BusSettings(
        bootstrap_servers=cluster.settings.bootstrap_servers,
        topic_prefix=f"{topic_prefix}v2.",
        partitions=7,
        data_dir=tmp_path,
    )
    with Cluster(settings, tmp_path) as moved:
        check_that_everything_goes_on(moved)
        wait_for(moved, [LATE])
        report = receipt("registered", DELIVERED, 9_000, to=FAILING[0])
        send(settings, [("receipts", key_of_receipt(report), report)])
        (event,) = moved.wait_for("delivery", DeliveryEvent, "provider_message_id='registered'")
        assert event.message_id == "order-77"


def test_suppressions_come_back_from_the_contacts_topic_when_the_changelog_is_lost(
    cluster: Cluster, tmp_path: Path
) -> None:
    made_anew(cluster.settings, "table_contacts")
    with Admin(cluster.settings, PATIENCE) as admin:
        assert not any(admin.end_offsets(cluster.settings.catalogue["table_contacts"].name).values())
    done = cluster.trackly("tables", "rebuild-from-contacts", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unreadable"] == 0
    shutil.rmtree(tmp_path / "streams")
    check_that_everything_goes_on(cluster)


def test_a_changelog_that_is_there_wins_over_what_is_rebuilt(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster.trackly("tables", "rebuild-from-contacts", "--yes")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "streams")
    check_that_everything_goes_on(cluster)


def test_states_of_contacts_come_back_from_the_changelog_when_their_topic_is_lost(cluster: Cluster) -> None:
    before = states(cluster)
    made_anew(cluster.settings, "contacts")
    assert not states(cluster)
    done = cluster.trackly("tables", "publish-contacts", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"states": len(before), "removed": len(STOPPED)}
    assert {number: (state.active, state.reason, state.failures) for number, state in states(cluster).items()} == {
        number: (state.active, state.reason, state.failures) for number, state in before.items()
    }
    check_that_everything_goes_on(cluster)
