"""What retention deletes before it was read is told to people, once, however long the service was down."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from bus.admin import Admin
from bus.clock import now_ms
from bus.fetching import QUIET_WAIT_MS
from bus.losses import Loss, loss_of
from bus.producer import partition_of
from bus.settings import BusSettings
from schemas.ids import recipient_key
from schemas.records import AuditEntry, InboundMessage, RecordsLost
from tests.broker.test_console import Api
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
    assert (finding["level"], raw in finding["text"]) == ("error", True)
    assert "lists of opt-outs" in finding["remedy"]
    assert "trackly losses settle" in finding["remedy"]


NUMBERS = [f"+1555100{n:04}" for n in range(12)]
LIST = "+18005550001"


def console(cluster: Cluster, key: str) -> Api:
    """Start a console, and wait until it knows how the contacts are."""
    cluster.start("console-1")
    api = Api(cluster, key)
    api.wait_for_start()
    return api


def standing(cluster: Cluster, number: str) -> tuple[bool, str]:
    """Return what `trackly contact show` says about a contact."""
    shown = json.loads(cluster.trackly("contact", "show", "acme", LIST, number, "--json").stdout)
    return shown["may_be_texted"], shown["reason"]


def opt_out(cluster: Cluster, number: str) -> None:
    """Put a STOP on the topic of replies."""
    reply = InboundMessage(
        event_id=f"evt_{number}", account="acme", provider="infobip", from_=number, to=LIST, text="STOP",
        received_at=now_ms(), raw="{}",
    )  # fmt: skip
    cluster.send("inbound", reply, recipient_key("acme", number))


def test_nobody_is_texted_whose_stop_was_deleted_unread_until_an_operator_says_that_it_is_made_up_for(
    cluster: Cluster, tmp_path: Path
) -> None:
    key = asyncio.run(cluster.make_key("acme"))
    run_streams(cluster)
    api = console(cluster, key)
    api.wait_for(200, NUMBERS[0])
    write_raw(cluster, 2)
    deleted(cluster.settings, "raw")
    # Streams is stopped, so that nobody has recorded it yet.
    told = api.wait_for(503, NUMBERS[0])
    until = time.monotonic() + PATIENCE
    while "start streams" not in told.json()["message"]:
        assert time.monotonic() < until, told.text
        told = api.check(NUMBERS[0])
    findings = [json.loads(line) for line in cluster.trackly("doctor", "--json").stdout.splitlines()]
    assert [each["code"] for each in findings if each["area"] == "losses"] == ["not_recorded"]
    settling = cluster.trackly("losses", "settle", "--yes").stderr
    assert "No loss is open" in settling
    assert "start streams" in settling

    cluster.start("streams-1")
    cluster.wait_for("losses", RecordsLost, cluster.settings.catalogue["raw"].name)
    asked = time.monotonic() + 5
    while time.monotonic() < asked:
        assert api.check(NUMBERS[0]).status_code == 503
        time.sleep(0.05)
    assert standing(cluster, NUMBERS[0]) == (False, "lost_records")

    # Neither a console that starts over nor an audit log that was deleted forgets it.
    cluster.stop("console-1")
    shutil.rmtree(tmp_path / "console")
    deleted(cluster.settings, "audit")
    api = console(cluster, key)
    until = time.monotonic() + PATIENCE
    while "trackly losses settle" not in (message := api.check(NUMBERS[0]).json()["message"]):
        assert time.monotonic() < until, message
        time.sleep(0.1)
    assert "start streams" not in message

    (loss,) = [json.loads(line) for line in cluster.trackly("losses", "list", "--json").stdout.splitlines()]
    assert (loss["count"], loss["opt_outs"], loss["settled_for"]) == (1, "all", [])
    done = cluster.trackly("losses", "settle", "--account", "acme", "--yes", "--json")
    assert json.loads(done.stdout)["settled_for"] == ["acme"]
    assert api.wait_for(200, NUMBERS[0]).json()["contacts"][0]["may_be_texted"]
    assert standing(cluster, NUMBERS[0]) == (True, None)
    entries = [record for record in cluster.records("audit") if isinstance(record, AuditEntry)]
    assert [(each.action, each.account, each.object) for each in entries] == [("losses.settle", "acme", loss["id"])]
    assert cluster.trackly("losses", "settle", "--yes").returncode == 0
    assert cluster.trackly("losses", "list", "--json").stdout == ""


def test_replies_that_were_deleted_unread_hold_the_contacts_of_their_partition(cluster: Cluster) -> None:
    key = asyncio.run(cluster.make_key("acme"))
    run_streams(cluster)
    opt_out(cluster, NUMBERS[0])
    deleted(cluster.settings, "inbound")
    cluster.start("streams-1")
    cluster.wait_for("losses", RecordsLost, cluster.settings.catalogue["inbound"].name)
    answers = console(cluster, key).wait_for(200, *NUMBERS).json()["contacts"]
    partitions = cluster.settings.partitions
    lost = partition_of(recipient_key("acme", NUMBERS[0]), partitions)
    theirs = [partition_of(recipient_key("acme", number), partitions) == lost for number in NUMBERS]
    assert [each["may_be_texted"] for each in answers] == [not each for each in theirs]
    assert {each["reason"] for each in answers} == {"lost_records", None}
    for answer in (answers[0], next(each for each in answers if each["may_be_texted"])):
        assert standing(cluster, answer["number"]) == (answer["may_be_texted"], answer["reason"])


def test_replies_that_are_deleted_while_streams_stands_still_hold_their_contacts_too(cluster: Cluster) -> None:
    key = asyncio.run(cluster.make_key("acme"))
    cluster.start("streams-1")
    cluster.wait_ready()
    api = console(cluster, key)
    api.wait_for(200, NUMBERS[0])
    cluster.freeze("streams-1")
    time.sleep(QUIET_WAIT_MS / 1000 + 1)  # what it has asked for is answered
    opt_out(cluster, NUMBERS[0])
    deleted(cluster.settings, "inbound")
    cluster.thaw("streams-1")
    (loss,) = cluster.wait_for("losses", RecordsLost, cluster.settings.catalogue["inbound"].name)
    assert (loss.count, loss.uncertain) == (1, False)
    until = time.monotonic() + PATIENCE
    while (answer := api.check(NUMBERS[0])).status_code != 200 or answer.json()["contacts"][0]["may_be_texted"]:
        assert time.monotonic() < until, answer.text
        time.sleep(0.1)
    assert answer.json()["contacts"][0]["reason"] == "lost_records"
    for number in NUMBERS[1:]:
        opt_out(cluster, number)
    until = time.monotonic() + PATIENCE
    while any(each["reason"] != "message" for each in api.check(*NUMBERS[1:]).json()["contacts"]):
        assert time.monotonic() < until
        time.sleep(0.2)


def test_growing_forgets_no_loss_that_streams_has_not_recorded(cluster: Cluster) -> None:
    run_streams(cluster)
    opt_out(cluster, NUMBERS[0])
    deleted(cluster.settings, "inbound")
    grow = ("topics", "grow", "--prefix", f"{cluster.settings.topic_prefix}v2.", "--partitions", "5", "--yes", "--json")
    refused = cluster.trackly(*grow)
    assert refused.returncode == 1
    assert "Start streams once" in refused.stderr
    run_streams(cluster)
    grown = cluster.trackly(*grow)
    assert grown.returncode == 0, grown.stderr
    moved = json.loads(grown.stdout)["written"]
    assert moved[f"{cluster.settings.topic_prefix}v2.trackly.losses"] == 1


def test_events_that_were_deleted_before_they_were_mirrored_are_told(cluster: Cluster) -> None:
    cluster.start("mirror")
    cluster.wait_ready()
    cluster.stop("mirror")
    write_old(cluster, "delivery", 1, days=0)
    deleted(cluster.settings, "delivery")
    cluster.start("mirror")
    name = cluster.settings.catalogue["delivery"].name
    (record,) = cluster.wait_for("losses", RecordsLost, name)
    assert (record.reader, record.opt_outs) == (cluster.settings.group("mirror"), "none")


def write_old(cluster: Cluster, topic: str, partition: int, days: float) -> None:
    """Write a record that is this old to a topic (catalogue short name)."""
    producer = KafkaProducer(**cluster.settings.kafka_python())
    at = now_ms() - int(days * 86_400_000)
    name = cluster.settings.catalogue[topic].name
    producer.send(name, os.urandom(1_000), partition=partition, timestamp_ms=at).get(timeout=PATIENCE)
    producer.close()


def keep_bytes(cluster: Cluster, topic: str, size: int) -> None:
    with Admin(cluster.settings, PATIENCE) as admin:
        client: Any = admin._client
        name = cluster.settings.catalogue[topic].name
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.bytes": str(size)})])


def about_retention(cluster: Cluster) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what doctor says about retention, by topic (short name) and kind."""
    findings = [json.loads(line) for line in cluster.trackly("doctor", "--json").stdout.splitlines()]
    topics = {topic.name: topic.id for topic in cluster.settings.catalogue.values()}
    return {
        (next((topics[word] for word in each["text"].split() if word in topics), ""), each["code"]): each
        for each in findings
        if each["area"] == "retention"
    }


def test_unread_records_that_are_about_to_be_deleted_are_told_before_they_are(cluster: Cluster) -> None:
    run_streams(cluster)
    assert [*about_retention(cluster)] == [("", "ok")]
    write_old(cluster, "inbound", 1, days=6)
    write_old(cluster, "inbound", 1, days=1)
    write_old(cluster, "inbound", 2, days=4)
    write_old(cluster, "messages", 0, days=4)
    write_old(cluster, "clicks", 0, days=2)
    write_old(cluster, "receipts", 0, days=0)
    keep_bytes(cluster, "receipts", 1_500)
    found = about_retention(cluster)
    assert {place: each["level"] for place, each in found.items()} == {
        ("inbound", "time"): "error", ("messages", "time"): "warning", ("receipts", "bytes"): "warning",
    }  # fmt: skip
    assert "3 records" in found["inbound", "time"]["text"]
    assert "the oldest is 6.0 days old" in found["inbound", "time"]["text"]
    assert cluster.settings.group("streams") in found["inbound", "time"]["text"]
    # What has been read may go.
    cluster.start("streams-1")
    with Admin(cluster.settings, PATIENCE) as admin:
        until = time.monotonic() + PATIENCE
        while sum(admin.lag(cluster.settings.group("streams")).values()):
            assert time.monotonic() < until
            time.sleep(0.2)
    assert [*about_retention(cluster)] == [("", "ok")]


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
