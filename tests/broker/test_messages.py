"""Registered messages on a real broker: reports that wait for them, and callbacks to their senders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from bus.clock import now_ms
from bus.producer import partition_of
from schemas.ids import recipient_key
from schemas.records import (
    AccountConfig,
    ClickEvent,
    ContactState,
    DeliveryEvent,
    Link,
    LinkClick,
    ListConfig,
    MessageCallback,
    MessageSent,
    SentEvent,
    TrackedLink,
)
from tests.cluster import CODEC, Cluster, running
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

LIST = "+18005550001"
URL = "https://crm.example/sms/9c99"
WAIT = 10


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("messages")
    configs = [AccountConfig(id="acme", name="Acme", registers_messages=True), ListConfig(account="acme", number=LIST)]
    environment = {"TRACKLY_REGISTRATION_WAIT": str(WAIT)}
    with running(broker, directory, "msg", configs, "ingest", "streams-1", **environment) as cluster:
        yield cluster


def post(cluster: Cluster, message_id: str, to: str, name: str) -> None:
    """Post a report from Infobip."""
    group = 3 if name.startswith("DELIVERED") else 2
    body = {"messageId": message_id, "to": to, "status": {"groupId": group, "name": name},
            "doneAt": "2026-11-20T10:15:01.000+0000"}  # fmt: skip
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    assert http.post(url, json={"results": [body]}).status_code == 200


def send(cluster: Cluster, topic: str, record: MessageSent | LinkClick) -> None:
    """Write a record under its recipient, as a sender does."""
    cluster.send(topic, record, recipient_key(record.account, record.to))


def message(message_id: str, to: str, **fields: Any) -> MessageSent:
    now = now_ms()
    return MessageSent(
        message_id=f"order-{message_id}", account="acme", provider="infobip", provider_message_id=message_id,
        list_number=LIST, to=to, sent_at=now, **fields,
    )  # fmt: skip


def test_a_report_waits_for_its_message_and_bears_its_id(cluster: Cluster) -> None:
    number = "+15550200001"
    post(cluster, "ib-1", number, "REJECTED_OPERATOR")
    (state,) = cluster.wait_for("contacts", ContactState, number)
    assert state.failures == 1
    send(cluster, "messages", message("ib-1", number))
    (event,) = cluster.wait_for("delivery", DeliveryEvent, number)
    assert event.message_id == "order-ib-1"


def test_a_message_in_a_partition_that_another_partitioner_chose_meets_its_report(cluster: Cluster) -> None:
    number = "+15550200006"
    registered = message("ib-6", number)
    key = recipient_key(registered.account, number)
    count = cluster.settings.catalogue["messages"].partitions
    cluster.send("messages", registered, key, partition=(partition_of(key, count) + 1) % count)
    cluster.wait_for("sent", SentEvent, number)
    post(cluster, "ib-6", number, "DELIVERED_TO_HANDSET")
    (event,) = cluster.wait_for("delivery", DeliveryEvent, number)
    assert event.message_id == "order-ib-6"


async def write_in_transactions(cluster: Cluster, record: MessageSent) -> None:
    """Write a record as senders with exactly-once producers do: in a transaction that is aborted, and in another."""
    topic = cluster.settings.catalogue["messages"]
    key = recipient_key(record.account, record.to)
    servers = cluster.settings.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id="crm") as producer:
        for end in (producer.abort_transaction, producer.commit_transaction):
            await producer.begin_transaction()
            partition = partition_of(key, topic.partitions)
            await producer.send_and_wait(topic.name, CODEC.encode(record), key=key, partition=partition)
            await end()


def test_messages_in_transactions_and_those_that_follow_meet_their_reports(cluster: Cluster) -> None:
    number = "+15550200007"
    asyncio.run(write_in_transactions(cluster, message("ib-7", number)))
    send(cluster, "messages", message("ib-8", number))
    for each in ("ib-7", "ib-8"):
        post(cluster, each, number, "DELIVERED_TO_HANDSET")
    events = cluster.wait_for("delivery", DeliveryEvent, number, count=2)
    assert [event.message_id for event in events] == ["order-ib-7", "order-ib-8"]


def test_a_transaction_at_the_end_of_a_topic_is_no_backlog(cluster: Cluster) -> None:
    asyncio.run(write_in_transactions(cluster, message("ib-9", "+15550200009")))
    cluster.wait_for("sent", SentEvent, "order-ib-9")
    url = f"http://127.0.0.1:{cluster.services['streams-1'].health_port}/metrics"
    deadline = time.monotonic() + PATIENCE
    while "\ntrackly_streams_lag_records 0.0\n" not in http.get(url).text:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_a_report_that_waits_through_a_kill_goes_out_by_time_though_nothing_else_comes(cluster: Cluster) -> None:
    number = "+15550200002"
    post(cluster, "ib-2", number, "REJECTED_OPERATOR")
    cluster.wait_for("contacts", ContactState, number)
    cluster.kill("streams-1")
    assert not [r for r in cluster.records("delivery") if number in repr(r)]
    cluster.start("streams-1")
    (event,) = cluster.wait_for("delivery", DeliveryEvent, number)
    assert event.message_id == "ib-2"
    states = [r for r in cluster.records("contacts") if number in repr(r)]
    assert len(states) == 1


@pytest.mark.slow
def test_a_report_that_waits_through_a_kill_meets_the_message_that_came_meanwhile(cluster: Cluster) -> None:
    number = "+15550200003"
    post(cluster, "ib-3", number, "REJECTED_OPERATOR")
    cluster.wait_for("contacts", ContactState, number)
    over = time.monotonic() + WAIT
    cluster.kill("streams-1")
    time.sleep(max(0.0, over - time.monotonic()))
    send(cluster, "messages", message("ib-3", number))
    cluster.start("streams-1")
    (event,) = cluster.wait_for("delivery", DeliveryEvent, number)
    assert event.message_id == "order-ib-3"


def test_a_registered_message_is_told_as_sent_delivered_and_clicked(cluster: Cluster) -> None:
    number = "+15550200004"
    link = Link("click-4", "https://acme.example/sale")
    send(cluster, "messages", message("ib-4", number, part_count=2, callback_url=URL, links=(link,)))
    (sent,) = cluster.wait_for("sent", SentEvent, number)
    assert (sent.message_id, sent.list_number, sent.part_count) == ("order-ib-4", LIST, 2)
    (tracked,) = cluster.wait_for("links", TrackedLink, number)
    assert (tracked.click_id, tracked.message_id) == ("click-4", "order-ib-4")

    post(cluster, "ib-4", number, "DELIVERED_TO_HANDSET")
    post(cluster, "ib-4", number, "DELIVERED_TO_HANDSET")
    callbacks = cluster.wait_for("callbacks", MessageCallback, number, count=2)
    assert [(callback.event, callback.url) for callback in callbacks] == [("sent", URL), ("delivered", URL)]

    click = LinkClick(
        event_id="evt_click_4", account="acme", provider="infobip", provider_message_id="ib-4", to=number,
        url=link.url, occurred_at=1_763_600_000_000, received_at=1_763_600_001_000, raw="{}",
    )  # fmt: skip
    send(cluster, "clicks", click)
    send(cluster, "clicks", click)
    (clicked,) = cluster.wait_for("click", ClickEvent, number)
    assert (clicked.message_id, clicked.click_id, clicked.list_number) == ("order-ib-4", "click-4", LIST)


def test_a_message_that_is_not_delivered_is_told_with_the_reason(cluster: Cluster) -> None:
    number = "+15550200005"
    post(cluster, "ib-5", number, "REJECTED_ABSENT_SUBSCRIBER")
    send(cluster, "messages", message("ib-5", number, callback_url=URL, unique_args={"a": "b"}))
    callbacks = cluster.wait_for("callbacks", MessageCallback, number, count=2)
    told = [(callback.event, callback.reason_code, callback.unique_args) for callback in callbacks]
    assert told == [("sent", None, {"a": "b"}), ("undelivered", 1404, {"a": "b"})]


def test_the_worker_tells_how_many_reports_went_out_without_their_message(cluster: Cluster) -> None:
    port = cluster.services["streams-1"].health_port
    metrics = http.get(f"http://127.0.0.1:{port}/metrics").text
    for name in ("orphaned_reports_total", "waiting_messages", "unknown_codes_total"):
        assert f"trackly_streams_{name}" in metrics
