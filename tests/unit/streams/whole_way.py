"""The whole way of a callback in memory: normalization, counting, events, webhooks."""

from __future__ import annotations

import orjson

from accounts.model import Accounts
from bus.memory import CATALOGUE, CODEC, MemoryKafka, ledger, make_durable
from outbound.outcomes import Outcome
from schemas.records import (
    EndpointConfig,
    InboundMessage,
    Link,
    LinkClick,
    Postback,
    RawCallback,
    Receipt,
    Record,
)
from sinks.webhooks.delivery import dead_record, deferred_record
from sinks.webhooks.fanout import fan_out
from sinks.webhooks.retry import Retry, Tier
from sinks.webhooks.window import Admission
from streams.normalize import normalize
from streams.unknown_codes import UnknownCodes
from tests.unit.providers.provider_callbacks import RECEIVED_AT
from tests.unit.streams.click_records import link
from tests.unit.streams.contact_records import ACCOUNT, message_sent
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, Stage, to_the_end
from tests.unit.streams.test_clicks import Stage as ClickStage

EVENTS = ("delivery", "unsubscribe", "reply", "sent", "click", "conversion")
ACCOUNTS = Accounts()
for config in (NOT_REGISTERING, ONE_LIST):
    ACCOUNTS.put(config)
for layout, batch_events in (("json", 1), ("cloudevents", 10)):
    ACCOUNTS.put(
        EndpointConfig(account=ACCOUNT, id=layout, url="https://a.example", secret="s", events=EVENTS, format=layout,
                       batch_events=batch_events)
    )  # fmt: skip

ENVELOPE = 4_096
"""Bytes that key, headers and Kafka itself may add to a value."""


def normalized(raw: RawCallback) -> list[Record]:
    """Return the items and rejected records of a callback."""
    kafka = MemoryKafka()
    batch = kafka.batch([])
    normalize(batch, kafka.admitted("sms.raw", None, CODEC.encode(raw)), CODEC, UnknownCodes(lambda provider: None))
    to_the_end(make_durable(batch))
    return [CODEC.decode(record.value) for record in kafka.sent]


def of_contact(item: Receipt | InboundMessage | LinkClick) -> list[Record]:
    """Return the contacts stage's results for an item: reported twice, with its message before, between, or after."""
    found: list[Record] = []
    number = item.from_ if isinstance(item, InboundMessage) else item.to
    message_id = item.provider_message_id
    for config in (NOT_REGISTERING, REGISTERING):
        stage = Stage(config, ONE_LIST)
        found += stage.apply(item, item)
        if number is not None and number.startswith("+") and isinstance(item, Receipt | LinkClick) and message_id:
            message = message_sent(message_id, provider=item.provider, to=number, callback_url="https://b.example/c",
                                   links=(link_of(item),))  # fmt: skip
            found += stage.apply(message, item)
        found += stage.tick(seconds=3_600)
        stage.lose_disk()
    return found


def link_of(item: Receipt | LinkClick) -> Link:
    """A link as the message of an item may have had."""
    return Link("c-1", getattr(item, "url", None) or "https://shop.example")


def of_click(item: Postback) -> list[Record]:
    async def run() -> list[Record]:
        stage = await ClickStage().restart()
        await stage.apply(link(), item, item)
        await stage.tick()
        await stage.restart(lose_disk=True)
        return [CODEC.decode(record.value) for record in stage.kafka.sent if record.topic != "changelog-clicks"]

    return to_the_end(run())


def webhooks(event: Record) -> None:
    """Assert that every webhook that an event leads to fits, in every possible form."""
    deliveries = fan_out(event, ACCOUNTS, lambda size, count: Admission(ledger(), 0, size, count))
    for delivery in deliveries:
        task, headers, _, _ = deferred_record(delivery, Retry(Tier("1m", 60_000), 2), RECEIVED_AT, 4)
        buried, _ = dead_record(delivery, Outcome(status=500), RECEIVED_AT)
        fits(task, "webhooks_due", "webhooks_retry.1m")
        fits(buried, "webhooks_dead")
        assert all(isinstance(value, bytes) for _, value in headers)
        assert orjson.loads(delivery.body)


def fits(record: Record, *topics: str) -> None:
    """Assert that a record with its key and headers fits into these topics (short names)."""
    for topic in topics:
        assert len(CODEC.encode(record)) + ENVELOPE <= CATALOGUE[topic].max_message_bytes
