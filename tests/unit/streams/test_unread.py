"""Unreadable callbacks that may be opt-outs all the same."""

from __future__ import annotations

import asyncio
import gzip
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bus.memory import CODEC, MemoryKafka, make_durable
from operations.samples import SOURCES
from providers import PROVIDERS
from schemas.records import RawCallback, RejectedRecord
from streams.normalize import normalize
from streams.optout import default_words
from streams.unknown_codes import UnknownCodes
from streams.unread import MAX_CHARACTERS, MAX_TEXTS, Unread
from tests.unit.providers.provider_callbacks import FORM, callback, infobip

SHAPES = tomllib.loads((Path(__file__).parents[2] / "data" / "opt_out_shapes.toml").read_text("utf-8"))["shape"]
SAID = [shape for shape in SHAPES if shape["effect"] == "removed, `message`" and "reassigned" not in shape["shape"]]


def may_opt_out(provider: str, payload: str) -> bool:
    return Unread(provider, default_words()).may_opt_out(payload)


def rejected(raw: RawCallback) -> list[RejectedRecord]:
    kafka = MemoryKafka()
    batch = kafka.batch([])
    normalize(batch, kafka.admitted("sms.raw", None, CODEC.encode(raw)), CODEC, UnknownCodes(lambda provider: None))
    asyncio.run(make_durable(batch))
    records = [CODEC.decode(record.value) for record in kafka.sent]
    assert all(isinstance(record, RejectedRecord) for record in records)
    return [record for record in records if isinstance(record, RejectedRecord)]


@pytest.mark.parametrize("shape", SAID, ids=[f"{each['provider']} {each['shape']}" for each in SAID])
def test_an_opt_out_that_is_damaged_is_marked(shape: dict[str, Any]) -> None:
    text = shape.get("body") or shape.get("form") or shape["query"]
    assert may_opt_out(shape["provider"], text)
    assert may_opt_out(shape["provider"], "{" + text.replace(":", "", 1))


@pytest.mark.parametrize(
    ("raw", "reason", "marked"),
    [
        (callback("infobip", b'{"results": [{"from": "15555550142", "text": "STOP"'), "not_json", True),
        (callback("infobip", b'{"results": [{"from": "15555550142", "text": "hello"'), "not_json", False),
        (callback("infobip", b'{"results": [{"text": "ARR\\u00caT"'), "not_json", True),
        (callback("infobip", b'{"results": [{"text": "STOP"}\x00'), "not_json", True),
        (callback("infobip", '{"results": [{"text": "STOP"'.encode("utf-16")), "not_json", True),
        (callback("infobip", '{"results": [{"text": "hello"'.encode("utf-16")), "not_json", False),
        (callback("infobip", '{"results": [{"text": "arrêt"}]}'.encode("latin-1")), "not_json", True),
        (callback("infobip", gzip.compress(b'{"results": [{"text": "hello"}]}', mtime=0)), "not_json", True),
        (callback("cm", b"<FROM>1555</FROM><MESSAGE>&#83;&#x54;OP", content_type="text/xml"), "not_xml", True),
        (callback("lime", b"action=unheard&keyword=arr%CAt", content_type=FORM), "unknown_action", True),
        (callback("eztexting", b'{"fromNumber:"1555", "message":"Stop please", "optOut":false}'), "not_json", True),
        (callback("eztexting", b'{"fromNumber:"1555", "message":"PIZZA", "optOut": true}'), "not_json", True),
        (callback("twilio", b"From=&Body=hi&OptOutType=STOP", content_type=FORM), "missing_field", True),
        (callback("twilio", b"MessageStatus=failed&ErrorCode=21610", content_type=FORM), "missing_field", True),
        (callback("twilio", b"MessageStatus=failed&ErrorCode=30003", content_type=FORM), "missing_field", False),
        (callback("lime", b"", method="GET", query="action=optout&mobile_number=nobody"), "invalid_number", True),
        (
            callback("lime", b"", method="GET", query="action=optoutall&mobile_number=15555550100"),
            "unknown_action",
            True,
        ),
        (callback("lime", b"", method="GET", query="action=Opt_Out&mobile_number=15555550100"), "unknown_action", True),
        (
            callback("lime", b"", method="GET", query="action=unsubscribe&mobile_number=15555550100"),
            "unknown_action",
            True,
        ),
        (
            callback("lime", b"", method="GET", query="action=optional&mobile_number=15555550100"),
            "unknown_action",
            False,
        ),
        (callback("lime", b"", method="GET", query="action=unheard&mobile_number=1&keyword=STOP"), None, True),
        (infobip({"event": "BLOCKED_ANEW", "sender": "15555550142", "note": "unsubscribe"}), "unknown_event", True),
        (callback("eztexting", b'{"type": "contact.opted_out", "phoneNumber": "1"}'), "not_supported", True),
        (callback("eztexting", b'{"type": "keyword.opt_out", "phoneNumber": "1"}'), "not_supported", True),
        (callback("eztexting", b'{"type": "contact.created", "contact": {"optOut": false}}'), "not_supported", False),
        (callback("twilio", b'[{"type": "com.twilio.messaging.consent.opt-out"}]'), "not_supported", True),
        (callback("twilio", b'[{"type": "com.twilio.messaging.consent.opt-in"}]'), "not_supported", False),
        (callback("twilio", b'[{"type": "x", "url": "https://a.example/unsubscribe"}]'), "not_supported", False),
        (infobip({"event": "TYPING_STARTED", "sender": "15555550142"}), "not_supported", False),
        (infobip({"event": "BLOCK", "content": {"channel": "EMAIL", "destination": "a@b"}}), "other_channel", False),
        (infobip({"event": "UNBLOCK", "content": {"sourceType": "CUSTOM"}}), "not_supported", False),
        (infobip({"status": {"groupId": 5}, "error": {"name": "EC_CONTENT_BLOCKED"}}), "missing_field", True),
        (
            infobip({"status": {"groupId": 5}, "error": {"name": "EC_CONTENT_BLOCKED_BY_OPERATOR"}}),
            "missing_field",
            False,
        ),
        (callback("tune", b"", method="GET", query="click_id=&note=STOP"), "missing_field", False),
    ],
)
def test_what_is_rejected_says_whether_it_may_be_an_opt_out(raw: RawCallback, reason: str | None, marked: bool) -> None:
    (record,) = rejected(raw)
    assert record.reason == reason or reason is None
    assert record.may_opt_out is marked


@pytest.mark.parametrize("text", ["STOP", "hello"])
def test_a_reply_from_a_number_without_its_country_is_rejected_and_marked_if_it_opts_out(text: str) -> None:
    [record] = rejected(infobip({"messageId": "m", "from": "(415) 555-0100", "to": "18005551234", "text": text}))
    assert (record.reason, record.may_opt_out) == ("invalid_number", text == "STOP")


def test_the_siblings_of_an_opt_out_are_not_marked() -> None:
    marks = [record.may_opt_out for record in rejected(infobip(7, {"text": "STOP"}, {"text": "hi"}))]
    assert marks == [False, True, False]


def test_a_payload_without_an_end_costs_no_more_than_its_beginning() -> None:
    assert not may_opt_out("infobip", '"' * MAX_CHARACTERS + '"STOP"')
    assert not may_opt_out("infobip", "".join(f'"word {n}"' for n in range(100_000)))


def test_of_ten_thousand_broken_items_so_many_texts_are_read_and_what_is_not_may_be_an_opt_out() -> None:
    records = rejected(infobip(*({"text": f"what {n}"} for n in range(9_999)), {"text": "what 0"}))
    assert len(records) == 10_000
    marks = [record.may_opt_out for record in records]
    assert marks.index(True) in range(MAX_TEXTS // 2, MAX_TEXTS)
    assert not any(marks[: marks.index(True)])
    assert all(marks[marks.index(True) : -1])
    assert not marks[-1], "a text that was read before is not read again"


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_what_providers_send_every_day_is_not_marked(name: str) -> None:
    from tests.unit.providers.test_contract import OCCASION

    for sample in SOURCES[name].samples("trackly", OCCASION):
        text = (sample.body or sample.query.encode()).decode()
        assert may_opt_out(name, text) is (sample.kind == "opt_out")
