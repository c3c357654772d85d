"""Where the read model continues reading, and which topics wait for others."""

from __future__ import annotations

from typing import Any

import pytest

from bus.layout import LayoutError, TopicMadeAnew
from bus.memory import CATALOGUE, MemoryKafka
from bus.settings import BusSettings
from readmodel import feed
from readmodel.feed import Feed, StartOver
from tests.clock import START
from tests.read_records import command, delivery

EVENTS, COMMANDS = CATALOGUE["delivery"].name, CATALOGUE["commands"].name
SETTINGS = BusSettings(bootstrap_servers="unused:9092")


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> MemoryKafka:
    kafka = MemoryKafka()
    kafka.readers(monkeypatch, feed)
    kafka.store("delivery", *(delivery(number, START) for number in range(4)))
    return kafka


async def feed_of(stored: dict[tuple[str, int], tuple[str, int]] | None = None) -> Feed:
    feed = Feed(SETTINGS, (CATALOGUE[key] for key in ("delivery", "commands")), is_command)
    await feed.start(stored or {})
    return feed


def is_command(record: Any) -> bool:
    return record.topic == COMMANDS


async def offsets(feed: Feed, most: int = 100) -> list[tuple[str, int]]:
    """Return topic and offset of the next poll's records, and write them all."""
    poll = await feed.poll(most)
    feed.moved_to(poll.moved)
    return [(record.topic, record.offset) for record in poll.records]


@pytest.mark.parametrize(
    ("stored", "first"),
    [
        ({}, 0),
        ({(EVENTS, 0): ("first", 2)}, 2),
        ({(EVENTS, 0): ("first", 900)}, 4),
    ],
    ids=["from the beginning", "where it stopped", "no further than the end"],
)
async def test_it_reads_on_where_it_stopped(
    kafka: MemoryKafka, stored: dict[tuple[str, int], tuple[str, int]], first: int
) -> None:
    feed = await feed_of(stored)
    assert await offsets(feed) == [(EVENTS, offset) for offset in range(first, 4)]
    assert feed.lag == 0


async def test_a_topic_that_was_made_anew_is_not_read_before_somebody_has_decided(kafka: MemoryKafka) -> None:
    with pytest.raises(TopicMadeAnew, match="trackly read-model rebuild"):
        await feed_of({(EVENTS, 0): ("of another topic of this name", 2)})


async def test_what_retention_has_deleted_is_told_and_passed_over(
    kafka: MemoryKafka, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.begins[EVENTS, 0] = 3
    feed = await feed_of({(EVENTS, 0): ("first", 1)})
    assert await offsets(feed) == [(EVENTS, 3)]
    assert "Kafka has deleted 2 records" in caplog.text


async def test_what_was_read_and_not_written_is_still_behind(kafka: MemoryKafka) -> None:
    feed = await feed_of()
    poll = await feed.poll(3)
    assert (len(poll.records), feed.lag, poll.moved) == (3, 4, {(EVENTS, 0): 3})
    feed.moved_to(poll.moved)
    assert feed.lag == 1


async def test_of_large_records_some_are_read_at_once_and_none_is_passed_over(
    kafka: MemoryKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(kafka.logs[EVENTS, 0][0].value)
    monkeypatch.setattr("readmodel.feed.BATCH_BYTES", 2 * size + 1)
    feed = await feed_of()
    assert await offsets(feed) == [(EVENTS, 0), (EVENTS, 1)]
    assert feed.lag == 2
    monkeypatch.setattr("readmodel.feed.BATCH_BYTES", 1)
    assert [await offsets(feed) for _ in range(3)] == [[(EVENTS, 2)], [(EVENTS, 3)], []]


async def test_an_order_to_erase_waits_until_all_is_written_that_was_there_before_it(kafka: MemoryKafka) -> None:
    kafka.store("commands", command(1, START, "erase"))
    feed = await feed_of()
    events = await feed.poll(100)
    assert [record.topic for record in events.records] == [EVENTS] * 4
    assert (await feed.poll(100)).records == []
    feed.moved_to(events.moved)
    assert await offsets(feed) == [(COMMANDS, 0)]


async def test_a_topic_that_ends_before_what_was_read_is_begun_anew(kafka: MemoryKafka) -> None:
    feed = await feed_of()
    await offsets(feed)
    del kafka.logs[EVENTS, 0][2:]
    with pytest.raises(StartOver, match=EVENTS):
        await feed.look_at_ends()


async def test_new_partitions_of_a_topic_without_recipients_are_read_by_a_new_start(kafka: MemoryKafka) -> None:
    kafka.store("webhooks_dead", None)
    feed = Feed(SETTINGS, [CATALOGUE["webhooks_dead"]], is_command)
    await feed.start({})
    await feed.look_at_ends()
    kafka.store("webhooks_dead", None, partition=1)
    with pytest.raises(StartOver, match="has 2 partitions now"):
        await feed.look_at_ends()


async def test_new_partitions_of_a_topic_by_recipient_end_it_with_the_remedy(kafka: MemoryKafka) -> None:
    feed = await feed_of()
    kafka.store("delivery", delivery(9, START), partition=1)
    with pytest.raises(LayoutError, match="trackly topics grow"):
        await feed.look_at_ends()
