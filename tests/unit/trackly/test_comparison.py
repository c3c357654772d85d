"""Today's rules beside what was written then, item by item."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from providers import PROVIDERS
from schemas.ids import derived_id
from schemas.records import RawCallback, Receipt, RejectedRecord
from schemas.samples import sample
from trackly.comparison import Comparison, Difference, lines_of, masked_number

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


def compared(raw: RawCallback, *written: Any) -> tuple[Comparison, list[Difference]]:
    comparison = Comparison(RAW)
    comparison.add_callback((2, 7), raw)
    for record in written:
        comparison.add_written(record)
    return comparison, comparison.finish()


def kinds(differences: list[Difference]) -> list[tuple[Any, ...]]:
    return [(line["then"], line["now"], line["fields"], line["count"]) for line in lines_of(differences)]


def test_what_is_read_as_it_was_differs_in_nothing() -> None:
    raw = callback(report(1), report(2))
    comparison, differences = compared(raw, *receipts(raw), receipts(raw)[0])
    assert (comparison.callbacks, comparison.items, comparison.same, differences) == (1, 2, 2, [])


def test_a_changed_status_is_shown_with_both_values() -> None:
    raw = callback(report(1))
    (then,) = receipts(raw)
    _, differences = compared(raw, replace(then, status="undeliverable", final=False))
    assert kinds(differences) == [("Receipt", "Receipt", ["status", "final"], 1)]
    assert differences[0].examples == [
        {"event_id": then.event_id, "fields": {"status": ["undeliverable", "delivered"], "final": [False, True]}}
    ]


def test_numbers_in_examples_are_masked_and_originals_hidden() -> None:
    raw = callback(report(1))
    (then,) = receipts(raw)
    _, differences = compared(raw, replace(then, to="+15559990077", raw="{}"))
    (example,) = differences[0].examples
    assert example["fields"] == {"to": ["+15…77", "+15…01"], "raw": ["(hidden)", "(hidden)"]}


@pytest.mark.parametrize(
    ("raw", "written", "expected"),
    [
        (callback(report(1)), [], [("nothing", "Receipt", [], 1)]),
        (callback(report(1)), [rejected("unknown_status", 0)], [("rejected: unknown_status", "Receipt", [], 1)]),
        (callback("junk"), [rejected("not_an_object", 0)], None),
        (callback(report(1), provider="pigeon"), [], [("nothing", "rejected: unknown_provider", [], 1)]),
        (
            callback(report(1), provider="pigeon"),
            receipts(callback(report(1))),
            [("Receipt", "nothing", [], 1), ("nothing", "rejected: unknown_provider", [], 1)],
        ),
        (callback(report(1), provider="pigeon"), [rejected("unknown_provider", None)], []),
        (
            callback(report(1), provider="pigeon"),
            [rejected("not_json", None)],
            [("rejected: not_json", "rejected: unknown_provider", [], 1)],
        ),
    ],
)
def test_kinds_of_difference(raw: RawCallback, written: list[Any], expected: list[Any] | None) -> None:
    _, differences = compared(raw, *written)
    if expected is None:
        ((then, now, _, count),) = kinds(differences)
        assert (then, now[:9], count) == ("rejected: not_an_object", "rejected:", 1)
    else:
        assert kinds(differences) == expected


def test_records_of_other_callbacks_and_stages_do_not_count() -> None:
    raw = callback(report(1))
    other = replace(receipts(raw)[0], event_id=derived_id("other", 0))
    _, differences = compared(raw, *receipts(raw), other, rejected("x", 0, topic="test.sms.receipts"))
    assert differences == []


def test_examples_are_few() -> None:
    raw = callback(*(report(number) for number in range(9)))
    _, differences = compared(raw)
    assert (differences[0].count, len(differences[0].examples)) == (9, 3)


@pytest.mark.parametrize(("number", "shown"), [("+15551230001", "+15…01"), ("54321", "…")])
def test_a_masked_number_identifies_nobody(number: str, shown: str) -> None:
    assert masked_number(number) == shown
