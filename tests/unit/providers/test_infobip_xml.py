"""Infobip's XML: the same shapes as its JSON, with a `result` for each item of `results`."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from providers.base import Item, Malformed, Unreadable
from providers.infobip import Infobip
from schemas.records import InboundMessage, RawCallback, Receipt
from tests.unit.providers.provider_callbacks import callback, infobip

INFOBIP = Infobip()

REPORT = {
    "bulkId": "bulk-7",
    "price": {"pricePerMessage": 0.0075, "currency": "EUR"},
    "status": {"groupId": 2, "groupName": "UNDELIVERABLE", "id": 4, "name": "UNDELIVERABLE_REJECTED_OPERATOR"},
    "error": {"groupId": 1, "id": 1, "name": "EC_UNKNOWN_SUBSCRIBER", "description": "Unknown", "permanent": True},
    "messageId": "m-1",
    "to": "385911234567",
    "sender": "Café & Co",
    "doneAt": "2026-03-01T09:00:00.250+0100",
    "messageCount": 2,
    "mccMnc": "21910",
    "callbackData": "order-77",
}
XML_REPORT = """
  <result>
    <bulkId>bulk-7</bulkId>
    <price><pricePerMessage>0.0075</pricePerMessage><currency>EUR</currency></price>
    <status><groupId>2</groupId><groupName>UNDELIVERABLE</groupName><id>4</id>
      <name>UNDELIVERABLE_REJECTED_OPERATOR</name></status>
    <error><groupId>1</groupId><id>1</id><name>EC_UNKNOWN_SUBSCRIBER</name><description>Unknown</description>
      <permanent>true</permanent></error>
    <messageId>m-1</messageId>
    <to>385911234567</to>
    <sender>Café &amp; Co</sender>
    <doneAt>2026-03-01T09:00:00.250+0100</doneAt>
    <messageCount>2</messageCount>
    <mccMnc>21910</mccMnc>
    <callbackData>order-77</callbackData>
  </result>
"""
DELIVERED = "<result><messageId>{}</messageId><status><groupName>DELIVERED</groupName></status></result>"


def xml(*results: str, root: str = "DeliveryReports", content_type: str = "application/xml") -> RawCallback:
    text = f"<?xml version='1.0' encoding='UTF-8'?><{root}><results>{''.join(results)}</results></{root}>"
    return callback("infobip", text.encode(), content_type=content_type)


def read_one(raw: RawCallback) -> Item:
    (item,) = INFOBIP.read(raw)
    return item


def test_a_report_says_the_same_as_in_json() -> None:
    in_json, in_xml = read_one(infobip(REPORT)), read_one(xml(XML_REPORT))
    assert isinstance(in_json, Receipt)
    assert isinstance(in_xml, Receipt)
    assert replace(in_xml, raw=in_json.raw) == in_json
    assert (in_xml.status_class, in_xml.from_, in_xml.parts) == ("invalid", "Café & Co", 2)


def test_the_raw_item_is_its_own_xml() -> None:
    item = read_one(xml("  " + DELIVERED.format("m-1") + "\n  "))
    assert isinstance(item, Receipt)
    assert item.raw == DELIVERED.format("m-1")


def test_a_batch_keeps_order_and_count() -> None:
    items = INFOBIP.read(xml(*[DELIVERED.format(f"m-{n}") for n in range(2000)]))
    assert [item.provider_message_id for item in items if isinstance(item, Receipt)] == [f"m-{n}" for n in range(2000)]


def test_one_bad_item_spares_its_siblings() -> None:
    bad = "<result><status><groupName>DELIVERED</groupName></status></result>"
    first, second, third = INFOBIP.read(xml(DELIVERED.format("m-1"), bad, DELIVERED.format("m-2")))
    assert second == Malformed("missing_field", "results[1].messageId is missing", bad)
    assert isinstance(first, Receipt)
    assert isinstance(third, Receipt)


def test_nothing_among_the_results_is_passed_over() -> None:
    first, second = INFOBIP.read(xml("<report>lost?</report>", DELIVERED.format("m-1")))
    assert first == Malformed("wrong_type", "results[0] is not an object", "<report>lost?</report>")
    assert isinstance(second, Receipt)


def test_a_field_that_is_given_twice_is_not_chosen_from() -> None:
    twice = DELIVERED.format("m-1</messageId><messageId>m-2")
    item = read_one(xml(twice))
    assert isinstance(item, Malformed)
    assert item.reason == "missing_field"


def test_blanks_around_a_status_mean_nothing() -> None:
    status = "<status>\n <groupId>\n 3 </groupId><name> DELIVERED_TO_HANDSET\n</name></status>"
    item = read_one(xml(f"<result><messageId>m-1</messageId><doneAt> 2026-03-01T08:00:00Z </doneAt>{status}</result>"))
    assert isinstance(item, Receipt)
    assert (item.status_detail, item.provider_status) == ("DELIVERED_TO_HANDSET", "DELIVERED_TO_HANDSET")
    assert item.occurred_at == 1_772_352_000_000


def test_a_reply_with_an_empty_status_is_a_reply() -> None:
    reply = "<result><messageId>m-1</messageId><from>385911234567</from><text>STOP</text><status/><seenAt/></result>"
    item = read_one(xml(reply))
    assert isinstance(item, InboundMessage)
    assert item.text == "STOP"


def test_an_empty_element_is_an_empty_text() -> None:
    item = read_one(xml(DELIVERED.format("m-1").replace("<status>", "<callbackData/><status>")))
    assert isinstance(item, Receipt)
    assert item.sender_reference is None


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8", "application/json"])
def test_xml_is_told_by_its_body(content_type: str) -> None:
    assert isinstance(read_one(xml(DELIVERED.format("m-1"), content_type=content_type)), Receipt)


def test_a_reply_may_be_xml_too() -> None:
    reply = read_one(
        xml(
            "<result><messageId>mo-1</messageId><from>385911234567</from><to>25256</to><text>  stop\n</text>"
            "<receivedAt>2026-03-01T08:00:00.000+0000</receivedAt></result>",
            root="InboundMessages",
        )
    )
    assert isinstance(reply, InboundMessage)
    assert (reply.from_, reply.to, reply.text) == ("+385911234567", "25256", "  stop\n")
    assert reply.occurred_at == 1_772_352_000_000


@pytest.mark.parametrize(
    ("segments", "text", "media"),
    [
        (
            "<message><contentType>image/png</contentType><url>https://m.example/1</url></message>"
            "<message><contentType>text/plain</contentType><value>Look</value></message>",
            "Look",
            ("https://m.example/1",),
        ),
        ("<message><contentType>text/plain</contentType><value>Look</value></message>", "Look", ()),
        (
            "<message><message><contentType>text/plain</contentType><value>Look</value></message>"
            "<message><value>here</value></message></message>",
            *("Look\nhere", ()),
        ),
    ],
)
def test_an_mms_has_one_segment_or_several(segments: str, text: str, media: tuple[str, ...]) -> None:
    reply = read_one(xml(f"<result><from>385911234567</from>{segments}</result>"))
    assert isinstance(reply, InboundMessage)
    assert (reply.text, reply.media) == (text, media)


def test_no_results_are_no_items() -> None:
    assert INFOBIP.read(xml()) == []


@pytest.mark.parametrize("body", [b"<DeliveryReports/>", b"<results><result/></results>", b"<x>results</x>"])
def test_a_body_without_a_results_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable, match="results is missing") as caught:
        INFOBIP.read(callback("infobip", body, content_type="application/xml"))
    assert caught.value.reason == "missing_field"
