"""Infobip beyond SMS: the Messages API, WhatsApp, RCS, Viber, the blocklist. Whole forms: test_published_forms.py."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.base import Malformed
from providers.infobip import Infobip
from schemas.ids import derived_id
from schemas.records import InboundMessage, Receipt
from tests.unit.providers.provider_callbacks import RECEIVED_AT, callback, infobip

REPORT: dict[str, Any] = {
    "event": "DELIVERY",
    "channel": "SMS",
    "sender": "18885550100",
    "destination": "15555550142",
    "doneAt": "2026-03-01T08:00:00.000+0000",
    "messageId": "m-1",
    "messageCount": 2,
    "mccMnc": 21910,
    "status": {"groupId": 5, "groupName": "REJECTED", "id": 52, "name": "REJECTED_DESTINATION"},
}
REPLY: dict[str, Any] = {"from": "15555550142", "to": "18885550100", "integrationType": "WHATSAPP", "messageId": "wa-1"}
BLOCK: dict[str, Any] = {
    "event": "BLOCK",
    "receivedAt": "2026-03-01T08:00:00.000+0000",
    "messageId": "bl-1",
    "content": {"sender": "18885550100", "destination": "15555550142", "sourceType": "URL_OPT_OUT"},
}
SWITCH: dict[str, Any] = {"sender": "18885550100", "from": "15555550142", "notificationMessagesStatus": "stop"}


def read(item: object) -> object:
    (found,) = Infobip().read(infobip(item))
    return found


def message(item: object) -> InboundMessage:
    found = read(item)
    assert isinstance(found, InboundMessage)
    return found


def notice(value: object) -> object:
    (found,) = Infobip().read(callback("infobip", orjson.dumps(value)))
    return found


def test_a_report_of_the_messages_api_names_its_recipient_as_destination() -> None:
    assert read(REPORT) == Receipt(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="infobip",
        provider_message_id="m-1",
        to="+15555550142",
        from_="+18885550100",
        status="rejected",
        status_detail="REJECTED_DESTINATION",
        status_class="invalid",
        provider_status="REJECTED_DESTINATION",
        provider_code="5,52",
        final=True,
        occurred_at=1_772_352_000_000,
        received_at=RECEIVED_AT,
        parts=2,
        network="21910",
        raw=orjson.dumps(REPORT).decode(),
        channel="sms",
    )


@pytest.mark.parametrize("item", [{"seenAt": "2026-03-01T08:00:00.000+0000"}, {"event": "SEEN"}])
def test_a_message_that_was_seen_was_read(item: dict[str, Any]) -> None:
    receipt = read({"messageId": "m-1", "to": "15555550142", "from": "18885550100", **item})
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.status_detail, receipt.final) == ("delivered", "READ", True)


@pytest.mark.parametrize(
    ("message_part", "text", "payload"),
    [
        ({"type": "TEXT", "text": "STOP"}, "STOP", None),
        ("STOP", "STOP", None),
        (["hi", "STOP"], "hi\nSTOP", None),
        ({"type": "IMAGE", "caption": "please stop", "url": "https://media.example/1"}, "please stop", None),
        ({"type": "BUTTON", "text": "No more offers", "payload": "STOP"}, "No more offers", "STOP"),
        ({"type": "INTERACTIVE_BUTTON_REPLY", "title": "No more", "id": "stop"}, "No more", "stop"),
        ({"type": "SUGGESTION", "text": "No more", "postbackData": " STOP "}, "No more", "STOP"),
        ({"type": "TEXT", "text": "hi", "id": "stop"}, "hi", None),
        ({"type": "REACTION", "emoji": "X", "action": "ADDED"}, "X", None),
        ({"type": "REACTION", "emoji": "X", "action": "REMOVED"}, None, None),
        ({"type": "LOCATION", "url": "https://maps.example/1"}, None, None),
        ([{"type": "TEXT", "text": "a"}, 7, {"type": "SUBJECT", "text": "b"}], "a\nb", None),
        ({"type": "TEXT", "text": "", "cleanText": "STOP"}, "STOP", None),
        ({"type": "TEXT", "text": " ", "cleanText": ""}, " ", None),
        ({"type": "IMAGE", "text": "", "caption": "please stop", "url": ""}, "please stop", None),
        ({"contentType": "TEXT/PLAIN; charset=UTF-8", "value": "STOP"}, "STOP", None),
        ({"value": "STOP"}, "STOP", None),
        ({"contentType": "application/smil", "value": "<smil/>"}, None, None),
        (
            [{"type": "LIST_REPLY", "text": "A", "id": "a"}, {"type": "LIST_REPLY", "text": "B", "id": "STOP"}],
            *("A\nB", "a\nSTOP"),
        ),
        ({"type": "BUTTON", "text": "x", "payload": "", "postbackData": "STOP"}, "x", "STOP"),
        ({"type": "QUICK_REPLY", "quickReplySelectedItem": {"title": "No", "identifier": "STOP"}}, "No", "STOP"),
        ({"listPickerSelectedItems": [{"title": "A", "identifier": "a"}, {"title": "Stop"}, 7]}, "A\nStop", "a"),
        (
            {"response": {"comment": "stop texting me", "rating": 5, "topics": ["a", 7], "flow_token": "t"}},
            *("comment: stop texting me\ntopics: a", "a\nstop texting me"),
        ),
        ({"type": "INTERACTIVE_FLOW_REPLY", "text": "Sent", "response": {"more": "STOP"}}, "Sent\nmore: STOP", "STOP"),
        ({"type": "FLOW_RESPONSE", "response": "STOP"}, None, None),
        (7, None, None),
    ],
)
@pytest.mark.parametrize("field", ["message", "content"])
def test_what_a_reply_says(field: str, message_part: object, text: str | None, payload: str | None) -> None:
    reply = message({**REPLY, field: message_part, "receivedAt": "x"})
    assert (reply.text, reply.keyword, reply.kind) == (text, payload, "reply")


def test_a_keyword_that_infobip_found_does_not_stand_for_a_text_that_is_not_there() -> None:
    """RCS sends `keyword: START` with a file: read as a text, it would restore a contact."""
    reply = message({**REPLY, "keyword": "START", "message": {"type": "FILE", "url": "https://media.example/1"}})
    assert (reply.text, reply.keyword) == (None, None)


SMS: dict[str, Any] = {"from": "15555550142", "to": "18885550100", "messageId": "mo-1"}


@pytest.mark.parametrize(
    ("item", "text", "keyword"),
    [
        ({"text": "", "cleanText": "STOP", "keyword": "PIZZA"}, "STOP", None),
        ({"text": None, "cleanText": "STOP"}, "STOP", None),
        ({"text": "", "cleanText": "", "keyword": "STOP"}, "", "STOP"),
        ({"text": None, "keyword": "STOP", "receivedAt": "x"}, None, "STOP"),
        ({"text": "PIZZA STOP", "cleanText": "STOP", "keyword": "PIZZA"}, "PIZZA STOP", "PIZZA"),
        ({"text": " PIZZA STOP", "cleanText": "STOP", "keyword": "PIZZA"}, " PIZZA STOP", "PIZZA"),
        ({"channel": "SMS", "content": [{"type": "TEXT", "text": "", "keyword": "STOP"}], "text": None}, "", "STOP"),
        ({"channel": "RCS", "text": "", "keyword": "START"}, "", None),
        ({"message": {"type": "LOCATION"}, "keyword": "START"}, None, None),
        ({"text": "", "message": {"type": "TEXT", "text": "STOP"}}, "STOP", None),
    ],
)
def test_what_infobip_took_from_a_text_stands_for_a_text_that_is_not_there(
    item: dict[str, Any], text: str | None, keyword: str | None
) -> None:
    reply = message({**SMS, **item})
    assert (reply.text, reply.keyword) == (text, keyword)


def test_where_a_user_id_stands_the_number_may_stand_beside_it() -> None:
    contact = {"phoneNumber": "15555550142", "userId": "US.1349"}
    assert message({**REPLY, "from": "US.1349", "text": "STOP", "contact": contact}).from_ == "+15555550142"
    assert message({**REPLY, "from": "US.1349", "text": "STOP"}).from_ == "US.1349"
    assert message({**REPLY, "from": "", "text": "STOP", "contact": {"userId": "US.1349"}}).from_ == "US.1349"
    receipt = read({**REPORT, "destination": "US.1349", "contact": contact})
    assert isinstance(receipt, Receipt)
    assert receipt.to == "+15555550142"


@pytest.mark.parametrize(
    ("fields", "user_id"),
    [
        ({"contact": {"phoneNumber": "15555550142", "userId": "US.1349"}}, "US.1349"),
        ({"from": "US.1349"}, "US.1349"),
        ({"from": "", "contact": {"userId": "US.1349"}}, "US.1349"),
        ({"from": "4711", "channel": "INSTAGRAM_DM"}, "4711"),
        ({}, None),
    ],
)
def test_the_id_by_which_a_channel_knows_a_person_is_kept_beside_the_number(
    fields: dict[str, object], user_id: str | None
) -> None:
    assert message({**REPLY, "text": "STOP", **fields}).user_id == user_id


def test_a_report_keeps_the_user_id_of_a_recipient_without_a_number() -> None:
    receipt = read({**REPORT, "destination": "US.1349"})
    assert isinstance(receipt, Receipt)
    assert (receipt.to, receipt.user_id) == (None, "US.1349")


@pytest.mark.parametrize("channel", ["MESSENGER", "INSTAGRAM", "APPLE_MB"])
def test_digits_of_a_channel_with_ids_of_its_own_are_no_phone_number(channel: str) -> None:
    reply = message({"channel": channel, "sender": "100200300400500", "destination": "100200300400501", "text": "STOP"})
    assert (reply.from_, reply.to) == ("100200300400500", "100200300400501")
    receipt = read({**REPORT, "channel": channel})
    assert isinstance(receipt, Receipt)
    assert receipt.to is None


@pytest.mark.parametrize(
    ("event", "source", "kind"),
    [
        ("BLOCK", "URL_OPT_OUT", "opt_out"),
        ("BLOCK", "MO", "opt_out"),
        ("BLOCK", "CAMPAIGN", "opt_out"),
        ("BLOCK", "CUSTOM", "opt_out"),
        ("BLOCK", "UNHEARD_OF", "opt_out"),
        ("UNBLOCK", "MO", "opt_in"),
    ],
)
def test_the_blocklist_says_who_wants_no_more(event: str, source: str, kind: str) -> None:
    reference = {"outboundMessageReference": {"outboundMessageId": "m-1"}}
    found = message({**BLOCK, "event": event, "content": {**BLOCK["content"], "sourceType": source, **reference}})
    assert (found.from_, found.to, found.kind, found.keyword) == ("+15555550142", "+18885550100", kind, source)
    assert (found.provider_message_id, found.in_reply_to, found.text) == ("bl-1", "m-1", None)


@pytest.mark.parametrize("content", [{}, None, 7])
def test_a_block_without_anything_beside_still_names_itself(content: object) -> None:
    found = read({**BLOCK, "content": content})
    assert isinstance(found, Malformed)
    assert (found.reason, "content.destination" in found.error) == ("missing_field", True)


def test_a_block_of_no_sender_and_no_source_is_an_opt_out() -> None:
    found = message({**BLOCK, "content": {"destination": "15555550142"}})
    assert (found.to, found.kind, found.keyword) == (None, "opt_out", "BLOCK")


@pytest.mark.parametrize(("state", "kind"), [("stop", "opt_out"), ("STOP", "opt_out"), ("resume", "opt_in")])
@pytest.mark.parametrize("alone", [True, False])
def test_whatsapp_s_own_switch_for_marketing(state: str, kind: str, alone: bool) -> None:
    value = {"from": "18885550100", "content": {**SWITCH, "notificationMessagesStatus": state}}
    found = notice(value) if alone else read(value)
    assert isinstance(found, InboundMessage)
    assert (found.from_, found.to, found.kind) == ("+15555550142", "+18885550100", kind)


@pytest.mark.parametrize(("event", "kind"), [("UNSUBSCRIBE", "opt_out"), ("SUBSCRIBE", "opt_in")])
def test_messenger_tells_of_consent_by_an_event(event: str, kind: str) -> None:
    value = {"channel": "MESSENGER", "event": event, "sender": "100200300400501", "from": "200030004000500"}
    found = message(value)
    assert (found.from_, found.to, found.kind, found.keyword) == ("200030004000500", "100200300400501", kind, event)


@pytest.mark.parametrize(("event", "kind"), [("UNSUBSCRIBE", "opt_out"), ("SUBSCRIBE", "opt_in")])
def test_consent_over_a_channel_of_phone_numbers_is_that_of_the_sender(event: str, kind: str) -> None:
    value = {"channel": "RCS", "event": {"type": event}, "sender": "15555550142", "to": "acme_agent"}
    found = message({**value, "receivedAt": "2026-03-01T08:00:00.000+0000"})
    assert (found.from_, found.to, found.kind, found.channel) == ("+15555550142", "acme_agent", kind, "rcs")
    assert found.occurred_at == 1_772_352_000_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"from": "1", "content": {**SWITCH, "notificationMessagesStatus": "later"}}, "unknown_status"),
        ({"from": "1", "content": {**SWITCH, "from": ""}}, "missing_field"),
        ({**BLOCK, "event": "UNBLOCK"}, "not_supported"),
        ({**BLOCK, "content": {**BLOCK["content"], "channel": "EMAIL"}}, "other_channel"),
        ({"event": "UNHEARD_OF", "sender": "15555550142"}, "unknown_event"),
        ({"event": {"type": "TYPING_INDICATOR"}, "sender": "15555550142", "receivedAt": "x"}, "not_supported"),
        ({"event": "TYPING_STARTED", "sender": "15555550142", "receivedAt": "x"}, "not_supported"),
        ({"event": "DELIVERY", "messageId": "m-1"}, "missing_field"),
        ({"event": "UNSUBSCRIBE", "channel": "MESSENGER"}, "missing_field"),
        ({"event": "SEEN"}, "missing_field"),
    ],
)
def test_what_says_nothing_about_a_message_or_a_wish_is_named(value: object, reason: str) -> None:
    for found in (read(value), notice(value)):
        assert isinstance(found, Malformed)
        assert found.reason == reason
