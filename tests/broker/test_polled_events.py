"""Polled events on a real broker: none is missing, and each contact's events are in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from msgspec.structs import replace

from accounts.urls import POLL
from bus.producer import Producer
from bus.settings import BusSettings
from console.backends.polled_events import KafkaEvents
from console.errors import ApiError
from console.queries.polled_events import Cursor, EventPage
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import recipient_key
from schemas.records import DeliveryEvent, EndpointConfig
from tests.patience import PATIENCE
from tests.unit.sinks.sink_parts import delivered

pytestmark = [pytest.mark.broker]

CODEC = Codec(FolderRegistry())
ENDPOINT = EndpointConfig(account="acme", id="crm", url=POLL, secret="", events=("delivery",))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.backends.polled_events.TIMEOUT", PATIENCE)


async def write(settings: BusSettings, events: Sequence[DeliveryEvent]) -> None:
    producer = Producer(settings)
    await producer.start()
    name = settings.catalogue["delivery"].name
    sent = [await producer.send(name, CODEC.encode(e), key=recipient_key(e.account, e.to or "")) for e in events]
    await asyncio.gather(*sent)
    await producer.stop()


def events(first: int, count: int, account: str = "acme") -> list[DeliveryEvent]:
    return [
        delivered(f"evt_{account}_{nth}", to=f"+1555000{nth % 7:04d}", account=account)
        for nth in range(first, first + count)
    ]


async def pages(
    feed: KafkaEvents, cursor: Cursor | None, limit: int, endpoint: EndpointConfig = ENDPOINT
) -> tuple[list[EventPage], Cursor]:
    """Return all pages."""
    found = []
    while True:
        page = await feed.read(endpoint, cursor, None, limit)
        found.append(page)
        cursor = Cursor.decode(page.after, "acme/crm")
        if not page.more:
            return found, cursor


def ids(found: Sequence[EventPage]) -> list[str]:
    return [event.id for page in found for event in page.data]


async def test_pages_hold_every_event_once_in_the_order_of_each_contact(
    bus_settings: BusSettings, topics: None
) -> None:
    ours = events(0, 250)
    await write(bus_settings, [each for pair in zip(ours, events(0, 250, "other"), strict=True) for each in pair])
    found, cursor = await pages(KafkaEvents(bus_settings, CODEC), None, 40)
    assert max(len(page.data) for page in found) == 40
    assert sorted(ids(found)) == sorted(event.event_id for event in ours)
    by_contact = defaultdict(list)
    for page in found:
        for event in page.data:
            by_contact[event.data["to"]].append(int(event.id.rpartition("_")[2]))
    assert all(numbers == sorted(numbers) for numbers in by_contact.values())

    # What comes later is on the next page, by another process too, and the same cursor gives the same again.
    await write(bus_settings, events(250, 30))
    for feed in (KafkaEvents(bus_settings, CODEC), KafkaEvents(bus_settings, CODEC)):
        later, _ = await pages(feed, cursor, 40)
        assert sorted(ids(later)) == sorted(f"evt_acme_{nth}" for nth in range(250, 280))


async def test_an_event_that_is_subscribed_to_later_begins_then(
    bus_settings: BusSettings, topics: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.backends.polled_events.CLOCK_MS", 0)
    feed = KafkaEvents(bus_settings, CODEC)
    await write(bus_settings, events(0, 5))
    first = await feed.read(replace(ENDPOINT, events=("reply",)), None, None, 9)
    await write(bus_settings, events(5, 5))
    found, _ = await pages(feed, Cursor.decode(first.after, "acme/crm"), 100)
    assert sorted(ids(found)) == [f"evt_acme_{nth}" for nth in range(5, 10)]


async def test_what_retention_deleted_before_it_was_asked_for_is_told(bus_settings: BusSettings, topics: None) -> None:
    feed = KafkaEvents(bus_settings, CODEC)
    await write(bus_settings, [delivered("evt_1", to="+15550001111")])
    _, cursor = await pages(feed, None, 10)
    await write(bus_settings, [delivered("evt_2", to="+15550001111"), delivered("evt_3", to="+15550001111")])
    name, (_, offsets) = bus_settings.catalogue["delivery"].name, cursor.offsets["delivery"]
    partition = next(number for number, offset in enumerate(offsets) if offset)
    client = KafkaAdminClient(**bus_settings.kafka_python())
    client.delete_records({TopicPartition(name, partition): offsets[partition] + 1})
    client.close()
    (page,), _ = await pages(feed, cursor, 10)
    assert ([event.id for event in page.data], page.missed) == (["evt_3"], True)


async def test_a_broker_that_is_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.backends.polled_events.TIMEOUT", 0.5)
    with pytest.raises(ApiError) as refused:
        await KafkaEvents(BusSettings(bootstrap_servers="localhost:1"), CODEC).read(ENDPOINT, None, None, 10)
    assert refused.value.status == 503


async def test_who_asks_twice_at_once_takes_no_turn_of_others(bus_settings: BusSettings, topics: None) -> None:
    feed = KafkaEvents(bus_settings, CODEC)
    other = replace(ENDPOINT, account="other")
    asked = await asyncio.gather(
        *(feed.read(each, None, None, 10) for each in (ENDPOINT, ENDPOINT, other)), return_exceptions=True
    )
    assert [each.status if isinstance(each, ApiError) else 200 for each in asked] == [200, 429, 200]
    assert (await feed.read(ENDPOINT, None, None, 10)).data == []
