"""The clicks stage on a restored table: what waits, what is rejected, and where it goes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bus.memory import CODEC, MemoryKafka, ledger, make_durable
from bus.tables.due_index import DueRows
from bus.tables.owner_index import OwnedRows
from bus.tables.store import Store
from bus.tables.table import Indexes
from bus.worker.batch import Batch
from bus.worker.inbox import Admitted
from schemas.codec import CodecError
from schemas.ids import recipient_key
from schemas.records import ContactCommand, ConversionEvent, Postback, Record, RejectedRecord
from streams import click_row
from streams.clicks import MAX_LINK_BYTES, Clicks, Waits
from tests.unit.streams.click_records import ACCOUNTS, CLICK, REPEAT, WAIT, link, postback

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LINKS, POSTBACKS, CONVERSIONS, REJECTED = "sms.links", "sms.postbacks", "sms.events.conversion", "sms.rejected"


class Stage:
    """The stage over Kafka in memory. `restart` loses what a process has, and the disk if it is told so."""

    def __init__(self) -> None:
        self.kafka = MemoryKafka()
        self.now = 0
        self.counted: list[str] = []
        self._stores: dict[int, Store] = {}

    async def restart(self, lose_disk: bool = False) -> Stage:
        if lose_disk:
            self._stores = {}
        due_rows = DueRows(click_row.due_at, clock=lambda: self.now / 1_000)
        self.table = self.kafka.table("clicks", self._stores, Indexes(due_rows, OwnedRows(click_row.owners_of)))
        await self.table.claim([ledger()])
        waits = Waits(WAIT, REPEAT)
        self.clicks = Clicks(
            CODEC, ACCOUNTS.get, self.table, POSTBACKS, waits, self.counted.append, now=lambda: self.now
        )
        return self

    async def apply(self, *records: Record) -> None:
        sources = [self._admitted(record) for record in records]
        batch = self.kafka.batch(sources, self.table)
        for source in sources:
            self.clicks.apply(batch, source)
        await make_durable(batch)

    async def tick(self, ms: int = WAIT) -> Batch:
        self.now += ms
        batch = self.kafka.batch([], self.table)
        self.clicks.settle_due(batch)
        await make_durable(batch)
        return batch

    def out(self, topic: str) -> list[Record]:
        return [CODEC.decode(record.value) for record in self.kafka.sent if record.topic == topic]

    def holds(self, text: str) -> bool:
        """Whether a text stands anywhere in the store, keys and indexes included."""
        return any(text.encode() in key + value for key, value in self._stores[0].own_items(b""))

    def _admitted(self, record: Record) -> Admitted:
        topic = POSTBACKS if isinstance(record, Postback) else LINKS
        source = self.kafka.admitted(topic, CLICK.encode(), CODEC.encode(record))
        return source._replace(record=source.record._replace(headers=(("traceparent", TRACE),)))


@pytest.fixture
async def stage() -> Stage:
    return await Stage().restart()


@pytest.mark.parametrize("lose_disk", [False, True])
async def test_what_waits_is_found_again_after_a_restart(stage: Stage, lose_disk: bool) -> None:
    await stage.apply(postback(1, "acme"), postback(2))
    await stage.restart(lose_disk)
    await stage.tick(WAIT - 1)
    assert stage.counted == []
    await stage.tick(1)
    assert stage.counted == ["orphaned", "rejected"]
    assert not any((await stage.tick()).steps())


async def test_what_was_settled_by_its_link_is_not_settled_again(stage: Stage) -> None:
    await stage.apply(postback())
    await stage.apply(link())
    assert stage.counted == ["joined"]
    await stage.restart()
    assert not any((await stage.tick()).steps())


async def test_a_conversion_keeps_the_trace_of_its_postback_while_it_waits(stage: Stage) -> None:
    await stage.apply(postback(1, "acme"))
    await stage.restart(lose_disk=True)
    await stage.tick()
    (record,) = [record for record in stage.kafka.sent if record.topic == CONVERSIONS]
    assert dict(record.headers)["traceparent"] == TRACE


async def test_a_conversion_has_the_key_of_its_recipient_or_of_its_click(stage: Stage) -> None:
    await stage.apply(postback(1, "beta"), link(), postback(2))
    await stage.tick()
    keys = [record.key for record in stage.kafka.sent if record.topic == CONVERSIONS]
    assert keys == [recipient_key("acme", "+15550001111"), CLICK.encode()]


async def test_a_rejection_names_the_place_of_the_postback_however_long_it_waited(stage: Stage) -> None:
    await stage.apply(postback(1), postback(2, "acme"))
    await stage.restart(lose_disk=True)
    await stage.tick()
    (rejected,) = stage.out(REJECTED)
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, rejected.provider, rejected.account) == ("unknown_click", "tune", None)
    assert (rejected.source_topic, rejected.source_partition, rejected.source_offset) == (POSTBACKS, 0, 0)
    assert CODEC.decode_as(Postback, rejected.source_value) == postback(1)


@pytest.mark.parametrize("click_id", ["\x00offset", "\x00due:click", "click:", "é" * 200])
async def test_any_text_is_a_click_id(stage: Stage, click_id: str) -> None:
    await stage.apply(replace(postback(1, "acme"), click_id=click_id), replace(link(), click_id=click_id))
    await stage.restart()
    await stage.apply(replace(postback(2), click_id=click_id))
    assert [event.click_id for event in stage.out(CONVERSIONS) if isinstance(event, ConversionEvent)] == [click_id] * 2


async def test_a_link_that_no_row_can_hold_is_rejected(stage: Stage) -> None:
    await stage.apply(link(message_id="m" * MAX_LINK_BYTES), postback())
    (rejected,) = stage.out(REJECTED)
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, rejected.account) == ("too_long", "acme")
    assert stage.counted == []


def erase(account: str = "acme") -> ContactCommand:
    return ContactCommand(
        event_id="evt_erase",
        command="erase",
        account=account,
        list_number="",
        phone_number=link().phone_number,
        issued_by=None,
        issued_at=2,
    )


@pytest.mark.parametrize("lose_disk", [False, True])
async def test_an_erased_number_is_in_no_row_and_in_no_later_conversion(stage: Stage, lose_disk: bool) -> None:
    await stage.apply(link(), postback(1))
    await stage.restart(lose_disk)
    await stage.apply(erase(), postback(2, "acme"), postback(1, "acme"))
    await stage.tick()
    assert not stage.holds(link().phone_number)
    numbers = [event.phone_number for event in stage.out(CONVERSIONS) if isinstance(event, ConversionEvent)]
    assert numbers == [link().phone_number, None]  # the repeated postback is still known as one


async def test_a_link_is_erased_that_came_in_the_same_batch(stage: Stage) -> None:
    await stage.apply(link(), erase())
    assert not stage.holds(link().phone_number)


async def test_what_another_account_registered_for_the_number_stays(stage: Stage) -> None:
    await stage.apply(link("acme"), link("beta"), erase("acme"), postback())
    (event,) = stage.out(CONVERSIONS)
    assert isinstance(event, ConversionEvent)
    assert (event.account, event.phone_number) == ("beta", link().phone_number)


async def test_another_record_does_not_belong_here(stage: Stage) -> None:
    with pytest.raises(CodecError, match="unexpected record: ConversionEvent"):
        await stage.apply(link(), postback(), *[ConversionEvent(
            event_id="e", account="a", message_id=None, click_id="c", phone_number=None, list_number=None,
            payout=None, currency=None, network="tune", type="sale", external_id=None, timestamp=1,
        )])  # fmt: skip
