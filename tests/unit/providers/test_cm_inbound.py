"""CM's inbound messages. Payloads have the shapes of its documentation."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from providers.base import Malformed, Unreadable
from providers.cm import Cm
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback
from tests.unit.providers.provider_callbacks import FORM, RECEIVED_AT, callback

CM = Cm()

REPLY: dict[str, Any] = {
    "reference": "ORDER77",
    "messageContext": "",
    "from": {"number": "+385911234567", "name": ""},
    "to": {"number": "00385921004026"},
    "message": {"text": "Yes please", "media": {"mediaUri": "", "contentType": "", "title": ""}, "custom": {}},
    "groupings": ["", "", ""],
    "timeUtc": "2026-03-01T08:00:00",
    "channel": "SMS",
}
OLD_REPLY = {
    "reference": "ORDER77",
    "from": "00385911234567",
    "to": "3669",
    "body": "Stop",
    "groupings": ["a", "b", "c"],
}
UPPER_CASE_REPLY = {
    "REFERENCE": "ORDER77",
    "FROM": {"NUMBER": "+385911234567"},
    "TO": {"NUMBER": "00385921004026"},
    "MESSAGE": {"TEXT": "Yes please", "MEDIA": {"MEDIAURI": ""}},
    "TIMEUTC": "2026-03-01T08:00:00",
}


def read(raw: RawCallback) -> InboundMessage:
    (item,) = CM.read(raw)
    assert isinstance(item, InboundMessage)
    return item


def read_reply(value: object) -> InboundMessage:
    return read(callback("cm", orjson.dumps(value), content_type="application/json"))


def test_an_inbound_sms_fills_every_field() -> None:
    reply = read_reply(REPLY)
    assert reply == InboundMessage(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="cm",
        provider_message_id=reply.provider_message_id,
        in_reply_to="ORDER77",
        from_="+385911234567",
        to="+385921004026",
        text="Yes please",
        occurred_at=1_772_352_000_000,
        received_at=RECEIVED_AT,
        raw=orjson.dumps(REPLY).decode(),
        channel="sms",
    )
    assert (reply.provider_message_id or "").startswith("cm-")


def test_the_keys_of_a_reply_come_in_any_case() -> None:
    loud = read_reply(UPPER_CASE_REPLY)
    assert (loud.from_, loud.text, loud.in_reply_to) == ("+385911234567", "Yes please", "ORDER77")
    assert loud.provider_message_id == read_reply(REPLY).provider_message_id


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"groupings": ["x", "", ""]}, True),
        ({"from": {"number": "00385911234567"}}, True),
        ({"from": {"number": "+385911234568"}}, False),
        ({"to": {"number": "3669"}}, False),
        ({"timeUtc": "2026-03-01T08:00:01"}, False),
        ({"message": {"text": "yes please"}}, False),
        ({"message": {"text": "Yes please", "media": {"mediaUri": "https://media.example/1"}}}, False),
    ],
)
def test_a_reply_is_known_by_numbers_time_and_content(other: dict[str, Any], same: bool) -> None:
    ids = [read_reply(value).provider_message_id for value in (REPLY, {**REPLY, **other})]
    assert (ids[0] == ids[1]) is same


@pytest.mark.parametrize("time", [None, "", "soon", "0001-01-01T00:00:00"])
def test_a_reply_without_a_time_has_no_id_for_the_word_may_come_again(time: object) -> None:
    reply = read_reply({**REPLY, "timeUtc": time})
    assert (reply.provider_message_id, reply.occurred_at) == (None, None)


def test_the_old_form_is_flat_and_has_no_time() -> None:
    reply = read_reply(OLD_REPLY)
    assert (reply.from_, reply.to, reply.text, reply.in_reply_to) == ("+385911234567", "3669", "Stop", "ORDER77")
    assert reply.provider_message_id is None


def test_the_old_form_comes_as_get_form_and_xml_too() -> None:
    fields = {"reference": "ORDER77", "FROM": "00385911234567", "To": "3669", "body": "Stop it, caf\u00e9"}
    text = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    for raw in (
        callback("cm", urlencode(fields).encode(), content_type=FORM),
        callback("cm", b"", method="GET", query=urlencode(fields)),
        callback("cm", f"<MESSAGES><MSG>{text}</MSG></MESSAGES>".encode()),
        callback("cm", f"<MO>{text}</MO>".encode()),
    ):
        reply = read(raw)
        assert (reply.from_, reply.to, reply.text) == ("+385911234567", "3669", "Stop it, caf\u00e9")


@pytest.mark.parametrize(
    ("media", "urls"),
    [
        ({"mediaUri": "https://media.example/1", "contentType": "image/png"}, ("https://media.example/1",)),
        ([{"mediaUri": "https://media.example/1"}, {"MEDIAURI": "https://media.example/2"}, 7],
         ("https://media.example/1", "https://media.example/2")),
        ({"mediaUri": ""}, ()),
        (None, ()),
        ("x", ()),
    ],
)  # fmt: skip
def test_media_are_urls(media: object, urls: tuple[str, ...]) -> None:
    reply = read_reply({**REPLY, "channel": "WhatsApp", "message": {"text": "", "media": media}})
    assert (reply.text, reply.media) == ("", urls)


@pytest.mark.parametrize("text", ["  stop\n", "", "42", "[STOP]", "\u010dao \U0001f600"])
def test_a_text_stays_as_it_was_written(text: str) -> None:
    assert read_reply({**REPLY, "message": {"text": text}}).text == text


TAP: dict[str, Any] = {
    "reference": "a73bc8c0",
    "messageContext": "ORDER77",
    "from": {"number": "00385911234567"},
    "to": {"number": "acme_agent"},
    "event": {"type": "SuggestionClick", "custom": {"postbackdata": "STOP", "label": "No more offers"}},
    "groupings": ["", "", ""],
    "timeUtc": "2026-03-01T08:00:00",
    "channel": "RCS",
}


def test_a_tapped_suggestion_is_a_reply_with_the_id_of_its_event() -> None:
    reply = read_reply(TAP)
    assert (reply.from_, reply.to, reply.channel) == ("+385911234567", "acme_agent", "rcs")
    assert (reply.text, reply.keyword) == ("No more offers", "STOP")
    assert (reply.provider_message_id, reply.in_reply_to) == ("a73bc8c0", "ORDER77")
    assert reply.occurred_at == 1_772_352_000_000


@pytest.mark.parametrize(
    ("custom", "text", "keyword"),
    [
        ({"label": "Stop"}, "Stop", None),
        ({"postbackdata": "STOP"}, None, "STOP"),
        ({"POSTBACKDATA": " STOP ", "LABEL": ""}, None, "STOP"),
        ({}, None, None),
        (None, None, None),
        ("STOP", None, None),
    ],
)
def test_a_tapped_suggestion_says_what_it_was_called_or_what_it_stands_for(
    custom: object, text: str | None, keyword: str | None
) -> None:
    reply = read_reply({**TAP, "event": {"type": "suggestionClick", "custom": custom}})
    assert (reply.text, reply.keyword) == (text, keyword)


def test_a_tapped_suggestion_without_a_reference_is_known_by_what_it_is() -> None:
    ids = [read_reply({**TAP, "reference": ""}).provider_message_id for _ in range(2)]
    other = read_reply({**TAP, "reference": "", "event": {"type": "SuggestionClick", "custom": {"postbackdata": "x"}}})
    assert ids[0] == ids[1] != other.provider_message_id
    assert read_reply({**TAP, "reference": "", "timeUtc": ""}).provider_message_id is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("isTyping", "not_supported"),
        ("MessageDelete", "not_supported"),
        ("Unheard", "unknown_event"),
        (None, "unknown_event"),
    ],
)
def test_an_event_in_which_nobody_writes_is_no_reply(kind: object, reason: str) -> None:
    (item,) = CM.read(callback("cm", orjson.dumps({**TAP, "event": {"type": kind}})))
    assert isinstance(item, Malformed)
    assert item.reason == reason


@pytest.mark.parametrize(
    ("custom", "text", "keyword"),
    [
        ({"suggestions": [{"action": "Reply", "postbackData": "STOP"}]}, "Yes please", "STOP"),
        ({"suggestions": [{"postbackData": "A"}, {"postbackData": "STOP"}]}, "Yes please", "A\nSTOP"),
        ({"button": {"payload": "STOP", "text": "No more"}}, "Yes please", "STOP"),
        ({"interactive": {"type": "list_reply", "list_reply": {"id": "STOP", "title": "x"}}}, "Yes please", "STOP"),
        ({"INTERACTIVE": {"BUTTON_REPLY": {"ID": "STOP", "TITLE": "x"}}}, "Yes please", "STOP"),
        ({"location": {"label": "Stop", "id": "STOP"}}, "Yes please", None),
        ({"contacts": [{"name": {"formatted_name": "Stop"}}]}, "Yes please", None),
        ([], "Yes please", None),
        ("STOP", "Yes please", None),
    ],
)
def test_the_payload_of_a_tapped_button_comes_with_the_message(custom: object, text: str, keyword: str | None) -> None:
    reply = read_reply({**REPLY, "message": {"text": "Yes please", "custom": custom}})
    assert (reply.text, reply.keyword) == (text, keyword)


def test_a_long_payload_hides_no_short_one() -> None:
    custom = {"suggestions": [{"postbackData": "x" * 2_000}, {"postbackData": "STOP"}]}
    reply = read_reply({**REPLY, "message": {"text": "Yes please", "custom": custom}})
    assert (reply.keyword or "").startswith("STOP\nxxx")


def test_the_label_of_a_tapped_button_stands_for_a_text_that_is_not_there() -> None:
    custom = {"interactive": {"button_reply": {"id": "x1", "title": "Stop"}}}
    for message in ({"text": "", "custom": custom}, {"custom": custom}):
        reply = read_reply({**REPLY, "message": message})
        assert (reply.text, reply.keyword) == ("Stop", "x1")


def test_a_custom_object_of_any_depth_does_not_cost_the_reply() -> None:
    custom: object = {"payload": "deep"}
    for _ in range(200):
        custom = {"a": custom}
    reply = read_reply({**REPLY, "message": {"text": "STOP", "custom": custom}})
    assert (reply.text, reply.keyword) == ("STOP", None)


@pytest.mark.parametrize(("text", "keyword"), [("", "Stop"), (" ", "Stop"), ("look", None)])
def test_the_title_of_a_file_is_read_where_there_is_no_text(text: str, keyword: str | None) -> None:
    media = {"mediaUri": "https://media.example/1", "contentType": "image/png", "title": " Stop "}
    reply = read_reply({**REPLY, "message": {"text": text, "media": media}})
    assert (reply.text, reply.keyword) == (text, keyword)


@pytest.mark.parametrize(
    "channel",
    [
        *("Facebook Messenger", "Instagram", "Twitter", "Telegram Messenger", "Google Business Messages", "Line"),
        *("Apple Messages for Business", "Apple Business Chat", "iMessage", "FACEBOOK MESSENGER"),
    ],
)
def test_digits_of_a_channel_with_ids_of_its_own_are_no_phone_number(channel: str) -> None:
    parties = {"from": {"number": "87654321"}, "to": {"number": "12345678"}}
    reply = read_reply({**REPLY, **parties, "channel": channel})
    assert (reply.from_, reply.to, reply.user_id) == ("87654321", "12345678", "87654321")


@pytest.mark.parametrize("channel", ["SMS", "WhatsApp", "RCS", "Viber", "", None, "Unheard"])
def test_digits_of_any_other_channel_are_a_phone_number(channel: str | None) -> None:
    reply = read_reply({**REPLY, "from": {"number": "385911234567"}, "channel": channel})
    assert (reply.from_, reply.user_id) == ("+385911234567", None)


def test_half_an_emoji_does_not_cost_the_reply() -> None:
    reply = read(callback("cm", orjson.dumps(REPLY).replace(b"Yes please", b"STOP \\ud83d")))
    assert reply.text == "STOP ?"


@pytest.mark.parametrize(
    ("sender", "reason"),
    [({"number": ""}, "missing_field"), ({}, "missing_field"), ([], "missing_field"), ("[FROM]", "unfilled_template")],
)
def test_a_reply_of_nobody_is_named(sender: object, reason: str) -> None:
    value = {**REPLY, "from": sender}
    (item,) = CM.read(callback("cm", orjson.dumps(value)))
    assert isinstance(item, Malformed)
    assert (item.reason, item.item) == (reason, orjson.dumps(value).decode())
    assert "from" in item.error


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"from": "385911234567"}, "missing_field"),
        # CM's MT webhook copies what was sent; it looks like the old form of a reply.
        ({"to": "00385911234567", "from": "Acme", "body": "Hi", "webhooktoken": "t"}, "not_supported"),
    ],
)
def test_what_only_looks_like_a_reply_is_unreadable(value: object, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        CM.read(callback("cm", orjson.dumps(value)))
    assert caught.value.reason == reason


def test_a_copy_of_a_sent_message_spares_its_siblings() -> None:
    copy = {"to": "00385911234567", "from": "Acme", "body": "Hi", "webhooktoken": "t"}
    first, second = CM.read(callback("cm", orjson.dumps({"messages": {"msg": [copy, OLD_REPLY]}})))
    assert isinstance(first, Malformed)
    assert first.reason == "not_supported"
    assert isinstance(second, InboundMessage)
