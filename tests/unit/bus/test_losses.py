"""What is told of records that retention deleted before they were read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

import bus.insisting
from bus.losses import Losses, opt_outs_in
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.records import OF_ANYONE, OF_NOBODY, OF_PARTITION, AuditEntry, RecordsLost
from schemas.registry import registry_for

SETTINGS = BusSettings()
CODEC = Codec(registry_for(None))


class Producer:
    """Keeps what is sent, by topic; each of `errors` fails a send to the topic of losses, in order."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.sent: list[tuple[str, bytes, Any]] = []

    async def partitions(self, topic: str) -> int:
        return 4

    async def send(self, topic: str, value: bytes, *, key: bytes, headers: Any) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if topic == SETTINGS.catalogue["losses"].name and self.errors:
            future.set_exception(self.errors.pop(0))
            return future
        self.sent.append((topic, key, CODEC.decode(value)))
        future.set_result(None)
        return future

    def of(self, topic: str) -> list[tuple[bytes, Any]]:
        return [(key, record) for name, key, record in self.sent if name == SETTINGS.catalogue[topic].name]


def losses(producer: Producer, service: str = "streams") -> Losses:
    return Losses(SETTINGS, service, producer, CODEC)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.insisting, "PAUSE", 0.0)


async def test_a_loss_is_recorded_with_whose_opt_outs_it_may_hold_and_is_in_the_audit_log() -> None:
    producer = Producer()
    topic = SETTINGS.catalogue["inbound"].name
    await losses(producer).tell(topic, 2, 10, 13)
    await asyncio.sleep(0)
    ((key, record),) = producer.of("losses")
    assert isinstance(record, RecordsLost)
    assert (record.topic, record.partition, record.partitions, record.first, record.count) == (topic, 2, 4, 10, 3)
    assert (record.uncertain, record.opt_outs, key.decode()) == (False, OF_PARTITION, record.event_id)
    ((_, entry),) = producer.of("audit")
    assert isinstance(entry, AuditEntry)
    assert entry.event_id == record.event_id


async def test_a_loss_of_streams_is_told_only_once_kafka_has_it() -> None:
    producer = Producer(KafkaTimeoutError(), KafkaTimeoutError())
    await losses(producer).tell(SETTINGS.catalogue["raw"].name, 0, None, 5)
    assert len(producer.of("losses")) == 1


async def test_streams_does_not_go_on_where_its_loss_cannot_be_recorded() -> None:
    producer = Producer(TopicAuthorizationFailedError())
    with pytest.raises(TopicAuthorizationFailedError):
        await losses(producer).tell(SETTINGS.catalogue["raw"].name, 0, 0, 5)


async def test_a_loss_of_webhooks_that_cannot_be_recorded_does_not_stop_the_others() -> None:
    producer = Producer(TopicAuthorizationFailedError())
    await losses(producer, "sinks").tell(SETTINGS.catalogue["delivery"].name, 0, 0, 5)
    assert producer.of("losses") == []


@pytest.mark.parametrize(
    ("topic", "opt_outs"),
    [
        *((topic, OF_ANYONE) for topic in ("raw", "commands")),
        *((topic, OF_PARTITION) for topic in ("receipts", "inbound", "messages")),
        *((topic, OF_NOBODY) for topic in ("clicks", "links", "postbacks")),
    ],
)
def test_streams_learns_who_must_not_be_texted_from_some_of_its_topics(topic: str, opt_outs: str) -> None:
    assert opt_outs_in(SETTINGS.catalogue[topic].name, SETTINGS.group("streams"), SETTINGS) == opt_outs


@pytest.mark.parametrize("topic", ["receipts", "inbound", "delivery"])
def test_what_other_groups_miss_removes_nobody(topic: str) -> None:
    assert opt_outs_in(SETTINGS.catalogue[topic].name, SETTINGS.group("sinks"), SETTINGS) == OF_NOBODY
