"""Whatever ingest accepts, every later topic accepts: the largest record of each kind against `topics.toml`."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import asdict

from bus.memory import CATALOGUE, CODEC, MemoryKafka, make_durable
from bus.producer import MAX_REQUEST_BYTES
from bus.worker.context import Context
from bus.worker.rows import TooLarge
from ingest.intake import MAX_CONTENT_TYPE, MAX_QUERY_BYTES
from ingest.redaction import MAX_HEADER_BYTES
from ingest.settings import IngestSettings
from providers.bounds import BOUNDS, MEDIA, MEDIA_URL
from providers.networks import MAX_BYTES
from schemas.records import InboundMessage, LinkClick, MessageCallback, Postback, RawCallback, Receipt, RejectedRecord
from schemas.samples import sample
from schemas.topics import DEFAULT_MAX_MESSAGE_BYTES
from tests.unit.providers.provider_callbacks import infobip, infobip_report
from tests.unit.streams.click_records import postback
from tests.unit.streams.contact_records import DELIVERED, NUMBER, SPAM, click, inbound, message_sent, receipt
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage
from tests.unit.streams.whole_way import fits, normalized, of_click, of_contact, webhooks

WIDE = "\U0001f600"
"""Four bytes in UTF-8, as many as a character can have."""

ESCAPED = "\x01"
"""Six bytes in JSON."""

TOPIC_OF = {Receipt: "receipts", InboundMessage: "inbound", LinkClick: "clicks"}


def largest(item: Any, character: str) -> Any:
    """Return an item whose bounded texts all have their maximum length. Numbers stay numbers, so that they have
    contacts.
    """
    bounds = BOUNDS[type(item)]
    given = asdict(item)
    texts = {name: character * bound.characters for name, bound in bounds.items() if name not in ("to", "from_")}
    if isinstance(item, InboundMessage):
        texts["media"] = (character * MEDIA_URL,) * MEDIA
    return type(item)(**{**given, **texts})


ITEMS = [receipt("m1", DELIVERED, 0), inbound("hello", 0), click()]
each_item = pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
each_character = pytest.mark.parametrize("character", [WIDE, ESCAPED], ids=["wide", "escaped"])


@each_item
@each_character
def test_the_largest_item_goes_all_the_way(item: Any, character: str) -> None:
    item = largest(item, character)
    fits(item, TOPIC_OF[type(item)])
    events = of_contact(item)
    assert not [record for record in events if isinstance(record, RejectedRecord)]
    for event in events:
        fits(event, *(topic.id for topic in CATALOGUE.values() if topic.record == type(event).__name__))
        if type(event).__name__.endswith(("Event", "Callback")):
            webhooks(event)


@each_character
def test_the_largest_postback_goes_all_the_way(character: str) -> None:
    text = character * (MAX_BYTES // len(character.encode()))
    largest_postback: Postback = postback(external_id=character * 256, goal=character * 256, parameters={"x": text})
    fits(largest_postback, "postbacks")
    for event in of_click(largest_postback):
        webhooks(event)


def test_rows_of_contacts_and_messages_hold_many_of_the_largest() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    for number in range(60):
        item = largest(receipt(f"m{number}", DELIVERED, number * 1_000), WIDE)
        text = f"{number}" + item.provider_message_id[:-10]
        assert stage.apply(type(item)(**{**asdict(item), "event_id": f"e{number}", "provider_message_id": text}))
    assert stage.contact(NUMBER).active


def test_a_whole_callback_fits_where_callbacks_lie_and_where_they_are_rejected() -> None:
    longest = max(field.le for field in IngestSettings.model_fields["max_body_bytes"].metadata if hasattr(field, "le"))
    raw = RawCallback(
        event_id="evt_" + "x" * 26, provider="infobip", account="a" * 64, method="POST", path="/" * 200,
        query="x" * MAX_QUERY_BYTES, headers={"x": "h" * MAX_HEADER_BYTES}, content_type="t" * MAX_CONTENT_TYPE,
        body=b"\xff" * longest, remote_ip="r" * 45, received_at=1,
    )  # fmt: skip
    fits(raw, "raw")
    rejected = RejectedRecord(
        event_id="evt_" + "x" * 26, stage="normalize", reason="not_json", error=WIDE * 2_000, source_topic="sms.raw",
        source_partition=0, source_offset=0, source_value=CODEC.encode(raw), rejected_at=1,
    )  # fmt: skip
    fits(rejected, "rejected")
    assert max(topic.max_message_bytes for topic in CATALOGUE.values()) <= MAX_REQUEST_BYTES


def test_an_item_that_is_too_large_is_rejected_alone_before_anything_of_it_is_sent() -> None:
    status = {"groupId": 3, "groupName": "DELIVERED"}
    reply = {"messageId": "r-1", "to": "18005551234", "text": "hello", "receivedAt": "2026-01-01T00:00:00Z"}
    records = normalized(
        infobip(infobip_report(status), {**reply, "from": "x" * 300_000}, infobip_report(status, messageId="m-2"))
    )
    (rejected,) = [record for record in records if isinstance(record, RejectedRecord)]
    assert (rejected.reason, rejected.item_index) == ("too_large", 1)
    assert rejected.error == "from has more than 255 characters"
    assert len([record for record in records if isinstance(record, Receipt)]) == 2


def test_a_raw_item_that_is_too_long_is_cut_and_says_so() -> None:
    (item,) = normalized(infobip(infobip_report({"groupId": 3}, callbackData="x" * 100_000)))
    assert isinstance(item, Receipt)
    assert len(item.raw) == 65_536
    assert item.raw.endswith(
        f"…[{len(orjson.dumps(infobip_report({'groupId': 3}, callbackData='x' * 100_000)))} characters]"
    )


def test_ids_that_are_too_long_stay_apart_and_stay_the_same() -> None:
    def id_of(text: str) -> str:
        (item,) = normalized(infobip(infobip_report({"groupId": 3}, messageId=text)))
        assert isinstance(item, Receipt)
        return item.provider_message_id

    assert id_of("x" * 255) == "x" * 255
    assert id_of("x" * 300) == id_of("x" * 300) != id_of("x" * 299 + "y")
    assert len(id_of("x" * 300)) == 255


@pytest.mark.parametrize(("size", "reasons"), [(700_000, []), (800_000, ["too_large"]), (1_048_000, ["too_large"])])
def test_a_registration_that_its_callbacks_cannot_carry_is_refused_and_its_reports_are_not(
    size: int, reasons: list[str]
) -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    message = message_sent("m1", unique_args={"x": "y" * size}, callback_url="https://shop.example/callback")
    told = [*stage.apply(message), *stage.apply(receipt("m1", SPAM, 0))]
    assert [record.reason for record in told if isinstance(record, RejectedRecord)] == reasons
    assert any(isinstance(record, MessageCallback) for record in told) is not bool(reasons)
    assert stage.contact(NUMBER).reason == "complaint"


def test_a_registration_under_an_id_that_no_report_can_have_is_refused() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    (rejected,) = stage.apply(message_sent("x" * 256))
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, rejected.error.partition(" ")[0]) == ("too_large", "provider_message_id")


async def test_a_record_that_no_topic_takes_leaves_nothing_but_its_rejection() -> None:
    kafka = MemoryKafka()
    batch = kafka.batch([])
    source = kafka.admitted("receipts", b"key", b"value")
    with batch.attempt(source):
        batch.send("contacts", receipt("m1", DELIVERED, raw="{}"), Context("e", 1), key=b"c")
        with pytest.raises(TooLarge):
            batch.send("contacts", receipt("m2", DELIVERED, raw="x" * 2_000_000), Context("e", 1), key=b"c")
        batch.send("contacts", receipt("m2", DELIVERED, raw="x" * 2_000_000), Context("e", 1), key=b"c")
    await make_durable(batch)
    assert [record.topic for record in kafka.sent] == ["sms.rejected"]
    (rejected,) = map(CODEC.decode, (record.value for record in kafka.sent))
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, batch.failed) == ("too_large", 0)


async def test_the_headers_of_a_record_count_towards_its_size() -> None:
    batch = MemoryKafka().batch([])
    event = sample("DeliveryEvent")
    with pytest.raises(TooLarge):
        batch.send("delivery", event, Context("evt_1", 1, b"x" * DEFAULT_MAX_MESSAGE_BYTES), key=b"k")


async def test_a_row_that_its_changelog_would_not_take_is_refused() -> None:
    kafka = MemoryKafka()
    table = kafka.table("t")
    batch = kafka.batch([], table)
    with pytest.raises(TooLarge, match="table t accepts 1048576"):
        batch.rows(table).put(0, b"key", b"x" * 1_048_576)
