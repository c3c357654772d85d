"""Today's rules compared with what was written then, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from bus.memory import CODEC
from bus.tables.store import MemoryStore
from providers import NETWORKS, PROVIDERS
from schemas.ids import derived_id
from schemas.records import Postback, RawCallback, Receipt, Record, RejectedRecord
from schemas.samples import sample
from trackly.commands.compare.comparison import Compared, Comparison, Difference, Tally, lines_of, masked_number
from trackly.commands.compare.findings import compared_item

RAW = "test.sms.raw"
DELIVERED = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}


def report(number: int, **fields: Any) -> dict[str, Any]:
    return {"messageId": f"m-{number}", "to": "15551230001", "status": DELIVERED, **fields}


def callback(*items: Any, provider: str = "infobip", event_id: str = "evt_raw") -> RawCallback:
    raw = sample("RawCallback")
    assert isinstance(raw, RawCallback)
    return replace(raw, event_id=event_id, provider=provider, body=orjson.dumps({"results": items}))


def receipts(raw: RawCallback) -> list[Receipt]:
    return [item for item in PROVIDERS["infobip"].read(raw) if isinstance(item, Receipt)]


def rejected(reason: str, index: int | None, topic: str = RAW) -> RejectedRecord:
    record = sample("RejectedRecord")
    assert isinstance(record, RejectedRecord)
    return replace(record, source_topic=topic, source_partition=2, source_offset=7, reason=reason, item_index=index)


@dataclass
class Run:
    """A comparison that is done."""

    comparison: Comparison
    compared: list[Compared]
    tally: Tally

    @property
    def differences(self) -> list[Difference]:
        return self.tally.differences


def compared(raw: RawCallback, *written: Record) -> Run:
    comparison = Comparison(RAW, CODEC, MemoryStore())
    comparison.add_callback((2, 7), raw)
    found = [comparison.add_written(CODEC.encode(record)) for record in written]
    run = Run(comparison, [*filter(None, found), *comparison.rest()], Tally())
    for each in run.compared:
        run.tally.add(each)
    return run


def kinds(differences: list[Difference]) -> list[tuple[Any, ...]]:
    return [(line["then"], line["now"], line["fields"], line["count"]) for line in lines_of(differences)]


def test_what_is_read_as_it_was_differs_in_nothing() -> None:
    raw = callback(report(1), report(2))
    run = compared(raw, *receipts(raw), receipts(raw)[0])
    assert (run.comparison.callbacks, run.comparison.items, run.tally.same, run.differences) == (1, 2, 2, [])


def test_a_changed_status_is_shown_with_both_values() -> None:
    raw = callback(report(1))
    (then,) = receipts(raw)
    differences = compared(raw, replace(then, status="undeliverable", final=False)).differences
    assert kinds(differences) == [("Receipt", "Receipt", ["status", "final"], 1)]
    assert differences[0].examples == [
        {"event_id": then.event_id, "fields": {"status": ["undeliverable", "delivered"], "final": [False, True]}}
    ]


def test_numbers_in_examples_are_masked_and_originals_hidden() -> None:
    raw = callback(report(1))
    (then,) = receipts(raw)
    differences = compared(raw, replace(then, to="+15559990077", raw="{}")).differences
    (example,) = differences[0].examples
    assert example["fields"] == {"to": ["+15…77", "+15…01"], "raw": ["(hidden)", "(hidden)"]}


@pytest.mark.parametrize(
    ("raw", "written", "expected"),
    [
        (callback(report(1)), [], [("nothing", "Receipt", [], 1)]),
        (callback(report(1)), [rejected("unknown_status", 0)], [("rejected: unknown_status", "Receipt", [], 1)]),
        (callback("junk"), [rejected("not_an_object", 0)], None),
        (callback(report(1), provider="nobody"), [], [("nothing", "rejected: unknown_provider", [], 1)]),
        (
            callback(report(1), provider="nobody"),
            receipts(callback(report(1))),
            [("Receipt", "nothing", [], 1), ("nothing", "rejected: unknown_provider", [], 1)],
        ),
        (callback(report(1), provider="nobody"), [rejected("unknown_provider", None)], []),
        (
            callback(report(1), provider="nobody"),
            [rejected("not_json", None)],
            [("rejected: not_json", "rejected: unknown_provider", [], 1)],
        ),
    ],
)
def test_kinds_of_difference(raw: RawCallback, written: list[Any], expected: list[Any] | None) -> None:
    differences = compared(raw, *written).differences
    if expected is None:
        ((then, now, _, count),) = kinds(differences)
        assert (then, now[:9], count) == ("rejected: not_an_object", "rejected:", 1)
    else:
        assert kinds(differences) == expected


def test_records_of_other_callbacks_and_stages_do_not_count() -> None:
    raw = callback(report(1))
    other = replace(receipts(raw)[0], event_id=derived_id("other", 0))
    differences = compared(raw, *receipts(raw), other, rejected("x", 0, topic="test.sms.receipts")).differences
    assert differences == []


def test_a_callback_that_comes_again_is_compared_once() -> None:
    raw = callback(report(1), "junk")
    comparison = Comparison(RAW, CODEC, MemoryStore())
    comparison.add_callback((2, 7), raw)
    comparison.add_callback((2, 8), raw)
    assert (comparison.callbacks, comparison.items, len(list(comparison.rest()))) == (2, 2, 2)


def test_a_postback_of_a_network_is_compared_too() -> None:
    raw = replace(callback(), provider="tune", method="GET", query="click_id=c-1&payout=2.5", body=b"")
    (then,) = NETWORKS["tune"].read(raw)
    assert isinstance(then, Postback)
    assert compared(raw, then).tally.same == 1
    assert kinds(compared(raw, replace(then, payout="1")).differences) == [("Postback", "Postback", ["payout"], 1)]


@pytest.mark.parametrize(
    ("body", "changes", "verdict"),
    [
        ([report(1)], {}, "same"),
        ([report(1)], {"status": "undeliverable"}, "changed"),
        ([report(1)], None, "new"),
        ([], {}, "gone"),
    ],
)
def test_what_is_written_of_an_item_names_its_verdict_and_holds_both_records(
    body: list[Any], changes: dict[str, Any] | None, verdict: str
) -> None:
    (receipt,) = receipts(callback(report(1)))
    written = [] if changes is None else [replace(receipt, **changes)]
    raw = callback(*body) if body else callback(report(1), provider="nobody")
    found = next(each for each in compared(raw, *written).compared if each.event_id == receipt.event_id)
    item = compared_item("run-1", found, 5)
    assert (item.run, item.event_id, item.account, item.provider) == ("run-1", receipt.event_id, "acme", "infobip")
    assert item.verdict == verdict
    assert (item.before is None, item.after is None) == (verdict in ("same", "new"), verdict == "gone")
    told = orjson.loads(item.after or item.before or "")
    assert (told["provider_message_id"], told["from"]) == ("m-1", receipt.from_)


def test_examples_are_few() -> None:
    raw = callback(*(report(number) for number in range(9)))
    differences = compared(raw).differences
    assert (differences[0].count, len(differences[0].examples)) == (9, 3)


@pytest.mark.parametrize(("number", "shown"), [("+15551230001", "+15…01"), ("54321", "…")])
def test_a_masked_number_identifies_nobody(number: str, shown: str) -> None:
    assert masked_number(number) == shown
