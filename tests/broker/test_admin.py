from __future__ import annotations

import gc
import socket
from dataclasses import replace

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import OffsetAndMetadata

from bus.admin import Admin, BrokerUnavailable, TopicRefused, UnknownTopic
from bus.settings import BusSettings
from schemas.topics import Catalogue
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker


def test_apply_creates_every_topic_of_the_catalogue(bus_settings: BusSettings) -> None:
    catalogue = bus_settings.catalogue
    with Admin(bus_settings, PATIENCE) as admin:
        changes = admin.apply(catalogue)
        created = admin.describe(change.topic for change in changes)

    assert [(change.topic, change.action) for change in changes] == [
        (topic.name, "created") for topic in catalogue.values()
    ]
    for topic in catalogue.values():
        there = created[topic.name]
        assert there.partitions == topic.partitions
        assert there.replication == 1
        assert topic.settings.items() <= there.settings.items()


def test_a_second_apply_changes_nothing(bus_settings: BusSettings) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
        again = admin.apply(bus_settings.catalogue)
    assert {(change.action, change.detail) for change in again} == {("unchanged", "")}


def test_topics_that_differ_are_reported_and_left_alone(bus_settings: BusSettings) -> None:
    raw, contacts = bus_settings.catalogue["raw"], bus_settings.catalogue["contacts"]
    more = Catalogue(bus_settings.topic_prefix, 7, bus_settings.retry_schedule)
    with Admin(bus_settings, PATIENCE) as admin:
        admin._client.create_topics(
            {
                contacts.name: {
                    "num_partitions": 4,
                    "replication_factor": 1,
                    "configs": {"retention.ms": "1000"},
                }
            },
        )
        admin.apply(bus_settings.catalogue)
        changes = {change.topic: change for change in admin.apply(more)}
        there = admin.describe([raw.name, contacts.name])

    assert changes[raw.name].action == "differs"
    assert changes[raw.name].detail == "partitions is 4, not 7"
    assert "retention.ms is 1000, not -1" in changes[contacts.name].detail
    assert "cleanup.policy is delete, not compact" in changes[contacts.name].detail
    assert there[raw.name].partitions == 4
    assert there[contacts.name].settings["retention.ms"] == "1000"


def test_a_cleanup_policy_has_no_order(bus_settings: BusSettings) -> None:
    topic = bus_settings.catalogue["table_messages"]
    policies = topic.settings["cleanup.policy"].split(",")
    assert len(policies) == 2
    turned = {**topic.settings, "cleanup.policy": ",".join(reversed(policies)), "min.insync.replicas": "1"}
    with Admin(bus_settings, PATIENCE) as admin:
        admin._client.create_topics(
            {topic.name: {"num_partitions": topic.partitions, "replication_factor": 1, "configs": turned}},
        )
        changes = {change.topic: change for change in admin.apply(bus_settings.catalogue)}
    assert changes[topic.name].action == "unchanged"


def test_a_refused_topic_is_named_with_the_reason(bus_settings: BusSettings) -> None:
    settings = bus_settings.model_copy(update={"replication": 9})
    with Admin(settings, PATIENCE) as admin, pytest.raises(TopicRefused, match="TRACKLY_REPLICATION is 9"):
        admin.apply(settings.catalogue)


def test_topics_are_listed_without_kafkas_own(bus_settings: BusSettings) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
        admin.group_offsets("any")  # makes the broker create its offsets topic
        listed = admin.list_topics()
    assert {topic.name for topic in bus_settings.catalogue.values()} <= set(listed)
    assert listed == sorted(listed)
    assert not any(name.startswith("__") for name in listed)


def test_describe_leaves_out_what_does_not_exist(bus_settings: BusSettings, topic_prefix: str) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        assert admin.describe([f"{topic_prefix}nothing"]) == {}


def test_offsets_and_lag_of_a_group(bus_settings: BusSettings, topic_prefix: str) -> None:
    topic, group = bus_settings.catalogue["receipts"].name, f"{topic_prefix}group"
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
        assert admin.group_offsets(group) == {}
        assert admin.lag(group) == {}

        producer = KafkaProducer(**bus_settings.kafka_python())
        for value in (b"one", b"two", b"three"):
            producer.send(topic, value, partition=1).get(timeout=PATIENCE)
        producer.close()
        assert admin.end_offsets(topic) == {0: 0, 1: 3, 2: 0, 3: 0}
        assert admin.begin_offsets(topic) == {0: 0, 1: 0, 2: 0, 3: 0}

        commit(bus_settings, group, {TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 1})
        assert admin.group_offsets(group) == {(topic, 0): 0, (topic, 1): 1}
        assert admin.lag(group) == {(topic, 0): 0, (topic, 1): 2}


def test_logs_have_the_topic_s_id_and_its_bounds(bus_settings: BusSettings) -> None:
    name = bus_settings.catalogue["config_keys"].name
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
        producer = KafkaProducer(**bus_settings.kafka_python())
        for _ in range(3):
            producer.send(name, b"x", key=b"k")
        producer.close()
        logs = admin.logs([name, "no.such.topic"])
        known = {name: replace(logs[name], begins={0: 2}, ends={0: 2})}
        again = admin.logs([name], known)
        of_another = admin.logs([name], {name: replace(known[name], id="another")})
    assert list(logs) == [name]
    assert (again[name].begins, again[name].ends) == ({0: 2}, {0: 3})
    assert of_another == logs
    assert (logs[name].begins, logs[name].ends) == ({0: 0}, {0: 3})
    assert len(logs[name].id) == 36


def commit(settings: BusSettings, group: str, offsets: dict[TopicPartition, int]) -> None:
    client = KafkaAdminClient(**settings.kafka_python())
    client.alter_group_offsets(group, {tp: OffsetAndMetadata(at, "", -1) for tp, at in offsets.items()})
    client.close()


def test_offsets_that_a_mirror_has_translated_are_taken_for_those_of_the_topics_here(bus_settings: BusSettings) -> None:
    group, name = bus_settings.group("streams"), bus_settings.catalogue["raw"].name
    elsewhere = "6f0f8c8e-0f0b-4d0e-9d59-3a5f7b1f5a55/4"
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
        assert admin.group_offsets(group) == {}  # a new broker makes the topic of offsets at the first question
        producer = KafkaProducer(**bus_settings.kafka_python())
        for _ in range(3):
            producer.send(name, b"x", partition=0)
        producer.close()
        client = KafkaAdminClient(**bus_settings.kafka_python())
        translated = {0: 2, 1: 7}  # of the second, the mirror was behind
        client.alter_group_offsets(
            group,
            {TopicPartition(name, number): OffsetAndMetadata(at, elsewhere, -1) for number, at in translated.items()},
        )
        client.close()
        assert admin.adopt_offsets(group) == 2
        assert admin.group_offsets(group) == {(name, 0): 2, (name, 1): 0}
        assert admin.group_identities(group) == admin.identities([name])
        assert admin.adopt_offsets(group) == 0


def test_offsets_of_an_unknown_topic(bus_settings: BusSettings, topic_prefix: str) -> None:
    with Admin(bus_settings, PATIENCE) as admin, pytest.raises(UnknownTopic, match=f"{topic_prefix}nothing"):
        admin.end_offsets(f"{topic_prefix}nothing")


def test_a_broker_that_is_not_there_is_named_with_the_remedy() -> None:
    settings = BusSettings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 within 0\.2 s: .*refused.*trackly up"):
        Admin(settings, timeout=0.2).__enter__()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_says_nothing_is_no_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = BusSettings(bootstrap_servers=f"127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(BrokerUnavailable, match="RequestTimedOut"):
            Admin(settings, timeout=0.5).__enter__()
    gc.collect()
