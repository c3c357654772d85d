"""What the contract test needs to know about each provider: one entry per provider in CASES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson
from hypothesis import strategies as st

from schemas.records import RawCallback
from tests.unit.providers.provider_callbacks import callback, infobip, twilio

SECRET = "s3cr3t-of-the-account"


@dataclass(frozen=True)
class Batch:
    """The form of a body with these items, the possible items, and the text that each is kept as."""

    body: Callable[[list[Any]], RawCallback]
    items: st.SearchStrategy[Any]
    text: Callable[[Any], str]


@dataclass(frozen=True)
class Case:
    """One provider.

    `credentials` let it prove itself with SECRET. `examples` are callbacks that are understood, beside the samples.
    `bodies` look like the provider's, with anything in them. `report` is a report with a status, `statuses` are
    all that the provider documents; none where it sends no reports.
    """

    credentials: dict[str, str]
    examples: list[RawCallback]
    bodies: st.SearchStrategy[bytes]
    report: Callable[[str], RawCallback] | None = None
    statuses: tuple[str, ...] = ()
    batches: tuple[Batch, ...] = ()


def cm(msg: object) -> RawCallback:
    return callback("cm", orjson.dumps({"messages": {"msg": msg}}))


def eztexting(event: object) -> RawCallback:
    return callback("eztexting", orjson.dumps(event), content_type="application/json")


def lime_report(status: str) -> RawCallback:
    report = {"event": "delivery_report", "message_id": "m-1", "mobile_number": "15555550100", "list_id": "1221"}
    return callback("lime", orjson.dumps({**report, "status": status}), content_type="application/json")


def infobip_xml(items: list[str]) -> RawCallback:
    return callback("infobip", f"<Reports><results>{''.join(items)}</results></Reports>".encode())


def cm_xml(items: list[str]) -> RawCallback:
    return callback("cm", f"<MESSAGES>{''.join(items)}</MESSAGES>".encode())


def json_text(item: object) -> str:
    return orjson.dumps(item).decode()


def element(name: str, fields: Mapping[str, str]) -> str:
    root = Element(name)
    for tag, text in fields.items():
        SubElement(root, tag).text = text
    return tostring(root, encoding="unicode")


# Anything in the place of anything

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=12)
)
# Built, so that it is one branch beside the good values and not seven.
junk = st.builds(
    lambda value: value,
    scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=6), scalars, max_size=2),
)
numbers = st.sampled_from(["385911234567", "+385911234567", "25256", "0041 79 302 67 27", "nobody", ""])
times = st.sampled_from(["2026-03-01T09:00:00.250+0100", "0001-01-01T00:00:00Z", "soon"])
xml_texts = st.text("abc <>&'\"\u00e9\u4e2d\U0001f600", max_size=8)


def xml_items(name: str, tags: list[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(tags), xml_texts | numbers, max_size=4).map(lambda f: element(name, f))


# Infobip

INFOBIP_GROUPS = ("PENDING", "ACCEPTED", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED")
infobip_codes = st.fixed_dictionaries(
    {"groupId": st.integers(0, 6) | st.just("3") | junk},
    optional={
        "groupName": st.sampled_from(INFOBIP_GROUPS) | junk,
        "id": st.integers(0, 100) | st.sampled_from([603, 607, 3041]) | junk,
        "name": st.sampled_from(["REJECTED_SPAM", "DELIVERED_TO_HANDSET", "EC_CONTENT_BLOCKED"]) | junk,
        "description": junk,
    },
)
infobip_fields: dict[str, st.SearchStrategy[Any]] = {
    "to": numbers | junk,
    "sender": numbers | junk,
    "doneAt": times | junk,
    "receivedAt": times | junk,
    "messageCount": junk,
    "mccMnc": junk,
    "price": st.fixed_dictionaries({"pricePerMessage": junk, "currency": junk}) | junk,
    "callbackData": junk,
}
infobip_items = (
    junk
    | st.fixed_dictionaries(
        {"messageId": st.text(min_size=1, max_size=5) | st.integers(0, 2**64 - 1) | junk, "status": infobip_codes},
        optional={"error": infobip_codes | junk, "from": junk, **infobip_fields},
    )
    | st.fixed_dictionaries(
        {"from": numbers | junk, "text": st.text() | junk},
        optional={
            "messageId": junk,
            "message": st.lists(st.fixed_dictionaries({"contentType": junk, "value": junk, "url": junk}), max_size=2),
            **infobip_fields,
        },
    )
)
infobip_parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["TEXT", "IMAGE", "BUTTON_REPLY", "SUGGESTION", "REACTION"]) | junk},
    optional={
        name: st.text(max_size=8) | junk for name in ("text", "caption", "title", "payload", "id", "url", "emoji")
    },
)
infobip_contents = st.lists(infobip_parts | junk, max_size=2) | infobip_parts
infobip_channels = st.fixed_dictionaries(
    {"event": st.sampled_from(["MO", "DELIVERY", "SEEN", "BLOCK", "UNBLOCK", "TYPING_STARTED"]) | junk},
    optional={
        "channel": st.sampled_from(["SMS", "RCS", "MESSENGER"]) | junk,
        "destination": numbers | junk,
        "contact": st.fixed_dictionaries({"phoneNumber": numbers | junk, "userId": junk}) | junk,
        "messageId": st.text(min_size=1, max_size=5) | junk,
        "status": infobip_codes,
        "seenAt": times | junk,
        "message": infobip_contents | junk,
        "content": infobip_contents
        | st.fixed_dictionaries(
            {"destination": numbers | junk, "sourceType": st.sampled_from(["MO", "URL_OPT_OUT"]) | junk},
            optional={"sender": numbers | junk, "outboundMessageReference": junk},
        )
        | junk,
        **infobip_fields,
    },
)
infobip_notices = st.fixed_dictionaries(
    {
        "content": st.fixed_dictionaries(
            {"notificationMessagesStatus": st.sampled_from(["stop", "resume"]) | junk},
            optional={"from": numbers | junk, "sender": numbers | junk, "userId": junk},
        )
    },
    optional={"from": numbers | junk, "createdAt": times | junk},
)
infobip_clicks = st.fixed_dictionaries(
    {"notificationType": st.just("CLICKED") | junk, "recipient": numbers | junk},
    optional={"url": junk, "messageId": junk, "sendDateTime": st.integers(-(2**63), 2**63) | junk},
)

# Twilio

TWILIO_STATUSES = (
    *("accepted", "scheduled", "queued", "sending", "sent", "delivered", "read", "undelivered", "failed"),
    *("partially_delivered", "canceled"),
)
twilio_fields = {
    "To": st.sampled_from(["+15558675310", "whatsapp:+15558675310", "2021", "nobody", ""]),
    "From": numbers | st.just("whatsapp:US.1234"),
    "ErrorCode": st.sampled_from(["30003", "30007", "21610", "30005", "0"]) | st.text(max_size=5),
    "ErrorMessage": st.text(),
    "Body": st.text() | st.text("ABab12+/", min_size=60, max_size=80),
    "NumSegments": st.sampled_from(["1", "-1", "99999999999", "x"]),
    "MediaUrl0": st.text(),
    "OptOutType": st.sampled_from(["STOP", "START", "HELP"]) | st.text(max_size=5),
    "RawDlrDoneDate": st.sampled_from(["2603010800", "2613990800"]) | st.text(max_size=10),
    "OriginalRepliedMessageSid": st.text(max_size=5),
}
twilio_forms = (
    st.fixed_dictionaries(
        {
            "MessageSid": st.text(min_size=1, max_size=5),
            "MessageStatus": st.sampled_from([*TWILIO_STATUSES, "received"]),
        },
        optional=twilio_fields,
    )
    | st.fixed_dictionaries({"SmsStatus": st.just("received")}, optional=twilio_fields)
    | st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)
)

twilio_data = st.dictionaries(
    st.sampled_from(
        [
            *("messageSid", "messageStatus", "errorCode", "from", "to", "body", "optOutType", "timestamp", "numMedia"),
            *("message_sid", "link", "click_time", "to_number", "from_number", "is_reassigned", "event_id"),
        ]
    ),
    st.sampled_from(["SENT", "undelivered", "+15558675310", "2026-03-01T08:00:00.000Z", "30003"]) | junk,
)
twilio_events = junk | st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message.sent", "inbound-message.received", "reassigned-number.detected", "unheard.of"]
        ).map(lambda name: f"com.twilio.messaging.{name}")
        | st.just("com.twilio.daptbt.link-shortening.link-clicked")
        | junk,
        "data": twilio_data | junk,
    }
)

# CM

CM_CODES = ("0", "1", "2", "3", "4")
cm_texts = st.sampled_from(["[GSM]", "%STATUS%", "A", " ", ""]) | st.text(max_size=5) | junk
cm_times = st.sampled_from(["2026-03-01T08:00:00", "0001-01-01T00:00:00", "soon"]) | junk
cm_codes = st.sampled_from(CM_CODES) | st.integers(0, 5)
cm_fields: dict[str, st.SearchStrategy[Any]] = {
    "received": cm_times,
    "to": numbers | junk,
    "reference": cm_texts,
    "REFERENCE": cm_texts,
    "operator": cm_texts,
}
cm_msgs = junk | st.fixed_dictionaries(
    {"status": st.fixed_dictionaries({"code": cm_codes | junk}, optional={"errorCode": cm_texts}) | cm_codes | junk},
    optional=cm_fields,
)
cm_taps = st.fixed_dictionaries({}, optional={"payload": cm_texts, "postbackData": cm_texts, "label": cm_texts}) | junk
cm_customs = cm_taps | st.fixed_dictionaries({}, optional={"suggestions": st.lists(cm_taps), "list_reply": cm_taps})
cm_replies = st.fixed_dictionaries(
    {"from": st.fixed_dictionaries({"number": numbers | junk}) | numbers | junk},
    optional={
        "message": st.fixed_dictionaries({"text": st.text() | junk, "media": junk, "custom": cm_customs}) | junk,
        "body": st.text() | junk,
        "event": st.fixed_dictionaries({"type": st.just("SuggestionClick") | junk, "custom": cm_customs}) | junk,
        "channel": st.sampled_from(["SMS", "RCS", "Facebook Messenger"]) | junk,
        "timeUtc": cm_times,
        **cm_fields,
    },
)
cm_forms = st.fixed_dictionaries(
    {"STATUS": st.sampled_from([*CM_CODES, "[STATUS]", "9"])},
    optional={"GSM": numbers, "reference": st.text(max_size=5), "CREATED_S": st.text(max_size=5), "gsm": numbers},
)
cm_bodies = (
    (cm_msgs | st.lists(cm_msgs, max_size=3)).map(lambda msg: orjson.dumps({"messages": {"msg": msg}}))
    | cm_replies.map(orjson.dumps)
    | cm_forms.map(lambda fields: urlencode(fields).encode())
)

# EZ Texting and Lime

eztexting_events = st.fixed_dictionaries(
    {"type": st.sampled_from(["inbound_text.received", "keyword.opt_in", "contact.created"]) | junk},
    optional={
        "id": junk,
        "fromNumber": numbers | junk,
        "toNumber": numbers | junk,
        "message": st.text() | junk,
        "keyword": st.text() | junk,
        "received": times | junk,
        "optOut": junk,
        "optIn": junk,
    },
)
LIME_STATUSES = ("pending", "delivered", "failed", "rejected", "expired")
lime_reports = st.fixed_dictionaries(
    {
        "event": st.just("delivery_report") | junk,
        "message_id": st.text(max_size=5) | junk,
        "mobile_number": numbers | junk,
        "list_id": st.text(max_size=5) | junk,
        "status": st.sampled_from(LIME_STATUSES) | junk,
    },
    optional={"occurred_at": times | junk, "error_code": junk},
)

CASES: Mapping[str, Case] = {
    "cm": Case(
        credentials={"secret": SECRET},
        examples=[
            cm([{"to": "00385911234567", "reference": "A", "status": {"code": "2"}}, {"reference": "B"}]),
            callback("cm", b'{"from": {"number": "+385911234567"}, "to": {"number": "3669"}, "message": "STOP"}'),
            callback("cm", b"<MESSAGES><MSG><TO>00385911234567</TO><STATUS><CODE>3</CODE></STATUS></MSG></MESSAGES>"),
            callback("cm", b"", method="GET", query=f"GSM=00385911234567&REFERENCE=A&STATUS=0&secret={SECRET}"),
        ],
        bodies=cm_bodies,
        report=lambda code: cm({"reference": "A", "status": {"code": code}}),
        statuses=CM_CODES,
        batches=(
            Batch(cm, st.lists(cm_msgs, max_size=4), json_text),
            Batch(cm_xml, st.lists(xml_items("MSG", ["TO", "REFERENCE", "FROM", "BODY"]), min_size=1, max_size=4), str),
        ),
    ),
    "eztexting": Case(
        credentials={"secret": SECRET},
        examples=[eztexting({"type": "keyword.opt_in", "id": "3", "fromNumber": "15555550100", "keyword": "PIZZA"})],
        bodies=eztexting_events.map(orjson.dumps),
    ),
    "infobip": Case(
        credentials={"username": "acme", "password": SECRET},
        examples=[
            infobip(
                {"messageId": "m-1", "to": "385911234567", "status": {"groupId": 3, "id": 5}},
                {"messageId": "m-2", "to": "nobody", "status": {"groupId": 3, "id": 5}},
                {"messageId": "m-3", "from": "385911234567", "to": "25256", "text": "STOP"},
            ),
            infobip_xml(["<result><messageId>m-1</messageId><status><groupId>3</groupId></status></result>"]),
        ],
        bodies=st.lists(infobip_items | infobip_channels, max_size=3).map(
            lambda items: orjson.dumps({"results": items})
        )
        | (infobip_clicks | infobip_notices).map(orjson.dumps),
        report=lambda name: infobip({"messageId": "m-1", "status": {"groupName": name}}),
        statuses=INFOBIP_GROUPS,
        batches=(
            Batch(lambda items: infobip(*items), st.lists(infobip_items | infobip_channels, max_size=4), json_text),
            Batch(infobip_xml, st.lists(xml_items("result", ["messageId", "to", "from", "text"]), max_size=4), str),
        ),
    ),
    "lime": Case(
        credentials={},
        examples=[callback("lime", b"", method="GET", query="action=optout-all&mobile_number=15555550100")],
        bodies=lime_reports.map(orjson.dumps),
        report=lime_report,
        statuses=LIME_STATUSES,
    ),
    "twilio": Case(
        credentials={"auth_token": SECRET},
        examples=[callback("twilio", b"", method="GET", query=f"MessageSid=SM1&MessageStatus=sent&secret={SECRET}")],
        bodies=twilio_forms.map(lambda fields: urlencode(fields).encode())
        | st.lists(twilio_events, max_size=3).map(orjson.dumps),
        report=lambda name: twilio({"MessageSid": "SM1", "MessageStatus": name}),
        statuses=TWILIO_STATUSES,
        batches=(
            Batch(
                lambda events: callback("twilio", orjson.dumps(events)), st.lists(twilio_events, max_size=4), json_text
            ),
        ),
    ),
}
"""By the provider's name."""
