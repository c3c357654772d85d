from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from accounts.model import Accounts
from bus.health import Health
from outbound.formats import raw_content_type
from outbound.outcomes import Outcome
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import AccountConfig, InboundMessage, ListConfig, Receipt
from sinks.consumer import OLDEST_MS, SinkParts
from sinks.forwarding import PER_HOST, WAITING_BYTES, WAITING_ITEMS, Forwarding, Hosts, Item, sink
from sinks.settings import SinksSettings
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.sink_parts import OK, Receiver

CODEC = Codec(FolderRegistry())
LIST, OTHER = "+18005551234", "+18009999999"


def receipt(**changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "event_id": "evt_1",
        "account": "acme",
        "provider": "twilio",
        "provider_message_id": "p-1",
        "to": "+15550001111",
        "from_": LIST,
        "status": "delivered",
        "status_detail": "DELIVERED_TO_HANDSET",
        "status_class": "delivered",
        "provider_status": "delivered",
        "final": True,
        "received_at": START,
        "raw": "MessageSid=SM1&MessageStatus=delivered",
    }
    return Receipt(**(values | changes))


def reply(**changes: Any) -> InboundMessage:
    values: dict[str, Any] = {
        "event_id": "evt_2",
        "account": "acme",
        "provider": "infobip",
        "from_": "+15550001111",
        "to": LIST,
        "received_at": START,
        "raw": '{"text": "Grüße"}',
    }
    return InboundMessage(**(values | changes))


class House:
    """Forwarding without a consumer: the test supplies the records."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.accounts = Accounts()
        self.accounts.put(AccountConfig(id="acme", name="Acme", allow_http=True))
        for number in (LIST, OTHER):
            self.accounts.put(ListConfig(account="acme", number=number))
        self.forwarding = Forwarding(self.accounts, CODEC, self.receiver.post, MovedClock())

    def configure(self, number: str = LIST, **urls: str) -> None:
        self.accounts.put(ListConfig(account="acme", number=number, **urls))  # type: ignore[arg-type]
        self.forwarding.on_change("config_lists", f"acme/{number}")

    async def give(self, record: Receipt | InboundMessage, key: str = "acme:+1", timestamp: int = START) -> None:
        value = CODEC.encode(record)
        self.forwarding.forward(SimpleNamespace(key=key.encode(), value=value, timestamp=timestamp))
        await settled()


DLR, REPLY = "http://a.example/dlr", "https://b.example/reply"


@pytest.mark.parametrize(
    ("record", "url", "content_type", "body"),
    [
        (receipt(), DLR, "application/x-www-form-urlencoded", b"MessageSid=SM1&MessageStatus=delivered"),
        (reply(), REPLY, "application/json", '{"text": "Grüße"}'.encode()),
    ],
)
async def test_the_raw_item_goes_to_the_lists_url_unsigned(
    record: Receipt | InboundMessage, url: str, content_type: str, body: bytes
) -> None:
    house = House()
    house.configure(dlr_forward_url=DLR, reply_forward_url=REPLY)
    await house.give(record)
    [request] = house.receiver.requests
    assert (request.url, request.body, request.allow_http) == (url, body, True)
    assert request.headers == {"Content-Type": content_type}


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (receipt(from_=OTHER), "acme:+1"),
        (receipt(from_=None), "acme:+1"),
        (reply(), "acme:+1"),
        (receipt(account="foreign"), "foreign:+1"),
    ],
    ids=["another list", "no list is known", "replies are not wanted", "another account"],
)
async def test_what_no_list_wants_goes_nowhere(record: Receipt | InboundMessage, key: str) -> None:
    house = House()
    house.configure(dlr_forward_url=DLR)
    await house.give(record, key)
    assert house.receiver.requests == []


async def test_a_report_that_names_no_recipient_is_forwarded_too() -> None:
    house = House()
    house.configure(dlr_forward_url=DLR)
    await house.give(receipt(to=None), "twilio:p-1")
    assert len(house.receiver.requests) == 1


async def test_what_is_old_is_not_forwarded() -> None:
    house = House()
    house.configure(dlr_forward_url=DLR)
    await house.give(receipt(), timestamp=START - OLDEST_MS - 1)
    assert house.receiver.requests == []


async def test_a_failure_is_not_repeated() -> None:
    house = House()
    house.configure(dlr_forward_url=DLR)
    await house.give(receipt())
    await house.receiver.answer(Outcome(error_class="timeout"))
    assert len(house.receiver.requests) == 1
    assert house.forwarding.hosts.counts == {"timeout": 1}


async def test_what_makes_no_sense_stops_nothing() -> None:
    house = House()
    house.configure(dlr_forward_url=DLR)
    house.forwarding.forward(SimpleNamespace(key=b"acme:+1", value=b"garbage", timestamp=START))
    await house.give(receipt())
    assert len(house.receiver.requests) == 1


def item(host: str, body: bytes = b"x") -> Item:
    return Item(f"https://{host}.example/", "application/json", body, False)


async def test_a_dead_host_holds_up_no_other_and_a_bounded_number_of_items() -> None:
    receiver = Receiver()
    hosts = Hosts(receiver.post)
    for _ in range(PER_HOST + WAITING_ITEMS + 10):
        hosts.offer(item("dead"))
    hosts.offer(item("sound"))
    await settled()
    assert [request.url for request in receiver.open] == ["https://dead.example/"] * PER_HOST + [
        "https://sound.example/"
    ]
    # Those that have a place are waiting too until their tasks have begun.
    assert hosts.counts["dropped"] == 10 + PER_HOST
    await receiver.answer_all(OK)
    assert hosts.bytes == 0


async def test_items_that_wait_are_bounded_in_bytes() -> None:
    receiver = Receiver()
    hosts = Hosts(receiver.post)
    for _ in range(PER_HOST):
        hosts.offer(item("dead"))
    await settled()
    for _ in range(3):
        hosts.offer(item("dead", b"x" * (WAITING_BYTES // 2)))
    assert hosts.bytes == WAITING_BYTES
    assert hosts.counts["dropped"] == 1


async def test_items_of_one_host_keep_their_order() -> None:
    receiver = Receiver()
    hosts = Hosts(receiver.post)
    for number in range(50):
        hosts.offer(item("a", b"%d" % number))
    await settled()
    await receiver.answer_all(OK)
    assert [request.body for request in receiver.requests] == [b"%d" % number for number in range(50)]


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        ('{"a": 1}', "application/json"),
        (" [1]", "application/json"),
        ("<GATEWAY/>", "application/xml"),
        ("a=1&b=2", "application/x-www-form-urlencoded"),
        ("", "application/x-www-form-urlencoded"),
    ],
)
def test_the_content_type_of_a_raw_item(raw: str, content_type: str) -> None:
    assert raw_content_type(raw) == content_type


async def nothing(*record: Any) -> None:
    pass


def test_what_was_forwarded_is_exported_by_outcome() -> None:
    health = Health("sinks")
    made = sink(SinkParts(SinksSettings(), Accounts(), [], CODEC, Receiver().post, nothing, MovedClock(), health))  # type: ignore[arg-type]
    made.hosts.counts["dropped"] = 4
    assert 'trackly_sinks_forwarded_total{outcome="dropped"} 4.0' in generate_latest(health.registry).decode()
