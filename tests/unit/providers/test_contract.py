"""Laws that hold for every provider in PROVIDERS. A new provider adds a line to EXAMPLES and to STATUSES."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_callbacks import callback, infobip, twilio

from providers import PROVIDERS
from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from schemas.codec import Codec
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt
from schemas.registry import FolderRegistry

NAMES = sorted(PROVIDERS)
PROVING = [name for name in NAMES if not PROVIDERS[name].behind_path_secret]
SECRET = "s3cr3t-of-the-account"
CODEC = Codec(FolderRegistry())

PUBLIC_STATUSES = {"pending", "delivered", "undeliverable", "expired", "rejected"}
CLASSES = {"delivered", "complaint", "invalid", "transient", "opt_out", "neutral"}


def cm(msg: object) -> RawCallback:
    return callback("cm", orjson.dumps({"messages": {"msg": msg}}))


def eztexting(event: object) -> RawCallback:
    return callback("eztexting", orjson.dumps(event), content_type="application/json")


def lime_report(status: str) -> RawCallback:
    report = {"event": "delivery_report", "message_id": "m-1", "mobile_number": "15555550100", "list_id": "1221"}
    return callback("lime", orjson.dumps({**report, "status": status}), content_type="application/json")


EXAMPLES: Mapping[str, list[RawCallback]] = {
    "cm": [
        cm([{"to": "00385911234567", "reference": "A", "status": {"code": "2"}}, {"reference": "B"}]),
        callback("cm", b'{"from": {"number": "+385911234567"}, "to": {"number": "3669"}, "message": {"text": "STOP"}}'),
        callback("cm", b"<MESSAGES><MSG><TO>00385911234567</TO><STATUS><CODE>3</CODE></STATUS></MSG></MESSAGES>"),
        callback("cm", b"", method="GET", query="GSM=00385911234567&REFERENCE=A&STATUS=0"),
    ],
    "eztexting": [
        eztexting({"type": "inbound_text.received", "id": "3", "fromNumber": "15555550100", "message": "STOP"}),
        eztexting({"type": "keyword.opt_in", "id": "3", "fromNumber": "15555550100", "keyword": "PIZZA"}),
    ],
    "infobip": [
        infobip(
            {"messageId": "m-1", "to": "385911234567", "status": {"groupId": 3, "id": 5}},
            {"messageId": "m-2", "to": "nobody", "status": {"groupId": 3, "id": 5}},
            {"messageId": "m-3", "from": "385911234567", "to": "25256", "text": "STOP"},
        ),
    ],
    "lime": [
        lime_report("delivered"),
        callback("lime", b"", method="GET", query="action=optout&list_id=1221&mobile_number=15555550100&keyword=STOP"),
    ],
    "twilio": [
        twilio({"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+15558675310"}),
        twilio({"MessageSid": "SM1", "From": "+15558675310", "Body": "STOP"}),
        callback("twilio", b"", method="GET", query="MessageSid=SM1&MessageStatus=sent"),
    ],
}
"""Callbacks that are understood, by provider."""

STATUSES: Mapping[str, tuple[Callable[[str], RawCallback], list[str]]] = {
    "cm": (
        lambda code: cm({"reference": "A", "status": {"code": code}}),
        ["0", "1", "2", "3", "4"],
    ),
    "infobip": (
        lambda name: infobip({"messageId": "m-1", "status": {"groupName": name}}),
        ["PENDING", "ACCEPTED", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED"],
    ),
    "lime": (
        lambda status: lime_report(status),
        ["pending", "delivered", "failed", "rejected", "expired"],
    ),
    "twilio": (
        lambda name: twilio({"MessageSid": "SM1", "MessageStatus": name}),
        [
            *(
                "accepted",
                "scheduled",
                "queued",
                "sending",
                "sent",
                "delivered",
                "read",
                "undelivered",
                "failed",
            ),
            *("partially_delivered", "canceled"),
        ],
    ),
}
"""How a report with a status looks, and every status that the provider documents. EZ Texting sends no reports."""

REPORTING = sorted(STATUSES)

CREDENTIALS: Mapping[str, dict[str, str]] = {
    "cm": {"secret": SECRET},
    "eztexting": {"secret": SECRET},
    "infobip": {"username": "acme", "password": SECRET},
    "lime": {},
    "twilio": {"auth_token": SECRET},
}

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
infobip_codes = st.fixed_dictionaries(
    {"groupId": st.integers(0, 6) | st.just("3") | junk},
    optional={
        "groupName": st.sampled_from(STATUSES["infobip"][1]) | junk,
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
        {
            "messageId": st.text(min_size=1, max_size=5) | st.integers(0, 2**64 - 1) | junk,
            "status": infobip_codes,
        },
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
twilio_statuses = st.sampled_from([*STATUSES["twilio"][1], "received"])
twilio_fields = {
    "To": st.sampled_from(["+15558675310", "whatsapp:+15558675310", "2021", "nobody", ""]),
    "From": numbers | st.just("whatsapp:US.1234"),
    "ErrorCode": st.sampled_from(["30003", "30007", "21610", "30005", "0"]) | st.text(max_size=5),
    "ErrorMessage": st.text(),
    "Body": st.text(),
    "NumSegments": st.sampled_from(["1", "-1", "99999999999", "x"]),
    "MediaUrl0": st.text(),
    "OptOutType": st.sampled_from(["STOP", "START", "HELP"]) | st.text(max_size=5),
    "RawDlrDoneDate": st.sampled_from(["2603010800", "2613990800"]) | st.text(max_size=10),
    "OriginalRepliedMessageSid": st.text(max_size=5),
}
twilio_forms = (
    st.fixed_dictionaries(
        {"MessageSid": st.text(min_size=1, max_size=5), "MessageStatus": twilio_statuses},
        optional=twilio_fields,
    )
    | st.fixed_dictionaries({"SmsStatus": st.just("received")}, optional=twilio_fields)
    | st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)
)

cm_texts = st.sampled_from(["[GSM]", "%STATUS%", "A", " ", ""]) | st.text(max_size=5) | junk
cm_times = st.sampled_from(["2026-03-01T08:00:00", "0001-01-01T00:00:00", "soon"]) | junk
cm_codes = st.sampled_from(STATUSES["cm"][1]) | st.integers(0, 5)
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
cm_replies = st.fixed_dictionaries(
    {"from": st.fixed_dictionaries({"number": numbers | junk}) | numbers | junk},
    optional={
        "message": st.fixed_dictionaries({"text": st.text() | junk, "media": junk}) | junk,
        "body": st.text() | junk,
        "timeUtc": cm_times,
        **cm_fields,
    },
)
cm_forms = st.fixed_dictionaries(
    {"STATUS": st.sampled_from([*STATUSES["cm"][1], "[STATUS]", "9"])},
    optional={"GSM": numbers, "reference": st.text(max_size=5), "CREATED_S": st.text(max_size=5), "gsm": numbers},
)
cm_bodies = (
    (cm_msgs | st.lists(cm_msgs, max_size=3)).map(lambda msg: orjson.dumps({"messages": {"msg": msg}}))
    | cm_replies.map(orjson.dumps)
    | cm_forms.map(lambda fields: urlencode(fields).encode())
)

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
lime_reports = st.fixed_dictionaries(
    {
        "event": st.just("delivery_report") | junk,
        "message_id": st.text(max_size=5) | junk,
        "mobile_number": numbers | junk,
        "list_id": st.text(max_size=5) | junk,
        "status": st.sampled_from(STATUSES["lime"][1]) | junk,
    },
    optional={"occurred_at": times | junk, "error_code": junk},
)

BODIES: Mapping[str, st.SearchStrategy[bytes]] = {
    "cm": cm_bodies,
    "eztexting": eztexting_events.map(orjson.dumps),
    "infobip": st.lists(infobip_items, max_size=3).map(lambda items: orjson.dumps({"results": items})),
    "lime": lime_reports.map(orjson.dumps),
    "twilio": twilio_forms.map(lambda fields: urlencode(fields).encode()),
}
"""Bodies that look like the provider's, with anything in them."""


def read(raw: RawCallback) -> list[Item]:
    return PROVIDERS[raw.provider].read(raw)


def request(body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST") -> CallbackRequest:
    return CallbackRequest(method, "https://callbacks.example/x?account=acme", "account=acme", headers or {}, body)


def test_every_provider_has_examples() -> None:
    for table in (EXAMPLES, CREDENTIALS, BODIES):
        assert sorted(table) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_is_found_by_its_name(name: str) -> None:
    assert PROVIDERS[name].name == name
    assert PROVIDERS[name].methods <= {"POST", "GET"}


@pytest.mark.parametrize("name", NAMES)
@given(
    body=st.binary(),
    content_type=st.none() | st.text(),
    method=st.sampled_from(["POST", "GET"]),
    query=st.text(),
)
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_are_read_or_unreadable(
    name: str, body: bytes, content_type: str | None, method: str, query: str
) -> None:
    outcome: list[Any]
    try:
        outcome = [*read(callback(name, body, content_type=content_type, method=method, query=query))]
    except Unreadable as error:
        outcome = [error.reason, str(error)]
    assert all(outcome)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_read_fits_the_schema_of_its_record(name: str, data: st.DataObject) -> None:
    try:
        items = read(callback(name, data.draw(BODIES[name])))
    except Unreadable:
        return
    for index, item in enumerate(items):
        if isinstance(item, Malformed):
            assert item.reason
            assert item.error
            assert item.item
            continue
        assert CODEC.decode(CODEC.encode(item)) == item
        assert item.event_id == derived_id("evt_callback", index)
        if isinstance(item, Receipt):
            assert item.status in PUBLIC_STATUSES
            assert item.status_class in CLASSES
            assert item.status_detail
            assert item.provider_status
            assert item.provider_message_id
        else:
            assert item.from_
            assert item.kind in {"reply", "opt_out", "opt_in"}


@given(items=st.lists(infobip_items, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_batch_gives_one_item_for_each_of_its_own_in_order(items: list[Any]) -> None:
    result = read(infobip(*items))
    raws = [item.item if isinstance(item, Malformed) else item.raw for item in result]
    assert raws == [orjson.dumps(item).decode() for item in items]


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_understood(name: str) -> None:
    kinds = {type(item) for raw in EXAMPLES[name] for item in read(raw)}
    assert InboundMessage in kinds
    assert (Receipt in kinds) == (name in REPORTING)


@pytest.mark.parametrize("name", NAMES)
def test_event_ids_are_derived_from_the_callback_and_differ(name: str) -> None:
    for raw in EXAMPLES[name]:
        ids = [item.event_id for item in read(raw) if not isinstance(item, Malformed)]
        assert ids == [item.event_id for item in read(raw) if not isinstance(item, Malformed)]
        other = [item.event_id for item in read(replace(raw, event_id="evt_other")) if not isinstance(item, Malformed)]
        assert len(set(ids + other)) == 2 * len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_account_and_time_come_from_the_callback(name: str) -> None:
    for raw in EXAMPLES[name]:
        for item in read(replace(raw, account="other", received_at=42)):
            if not isinstance(item, Malformed):
                assert (item.account, item.provider, item.received_at) == ("other", name, 42)


@pytest.mark.parametrize("name", NAMES)
def test_headers_path_and_address_reach_no_item(name: str) -> None:
    for raw in EXAMPLES[name]:
        marked = replace(raw, headers={"authorization": SECRET}, path=f"/{SECRET}", remote_ip=SECRET)
        assert read(marked) == read(raw)


@pytest.mark.parametrize(("name", "status"), [(name, status) for name in REPORTING for status in STATUSES[name][1]])
def test_every_documented_status_is_understood(name: str, status: str) -> None:
    (item,) = read(STATUSES[name][0](status))
    assert isinstance(item, Receipt)
    assert item.final is (item.status != "pending")


@pytest.mark.parametrize("name", REPORTING)
def test_a_status_that_is_not_documented_is_rejected_by_its_name(name: str) -> None:
    (item,) = read(STATUSES[name][0]("UNHEARD-OF"))
    assert isinstance(item, Malformed)
    assert item.reason == "unknown_status"
    assert "unheard-of" in item.error.lower()


@pytest.mark.parametrize("name", PROVING)
@given(body=st.binary(), values=st.lists(st.text(), min_size=3, max_size=3), url=st.text())
@settings(max_examples=100, deadline=None)
def test_a_forged_callback_is_refused_and_the_secret_is_not_told(
    name: str, body: bytes, values: list[str], url: str
) -> None:
    headers = dict(zip(("authorization", "x-twilio-signature", "x-callback-key"), values, strict=True))
    with pytest.raises(NotAuthentic) as caught:
        PROVIDERS[name].verify(CallbackRequest("POST", url, "", headers, body), CREDENTIALS[name])
    assert caught.value.code
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", PROVING)
def test_a_callback_without_any_proof_is_refused(name: str) -> None:
    with pytest.raises(NotAuthentic) as caught:
        PROVIDERS[name].verify(request(), CREDENTIALS[name])
    assert caught.value.code.startswith("missing_")


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(), query=st.text(), method=st.sampled_from(["POST", "GET"]))
@settings(max_examples=100, deadline=None)
def test_every_callback_is_answered(name: str, body: bytes, query: str, method: str) -> None:
    answer = PROVIDERS[name].answer(CallbackRequest(method, "https://callbacks.example/x", query, {}, body))
    assert isinstance(answer, Answer)
    assert bool(answer.body) == bool(answer.content_type)


# The tables of codes


@pytest.mark.parametrize("name", ["cm", "infobip", "twilio"])
def test_every_row_of_a_code_table_has_a_known_class(name: str) -> None:
    for rows in _tables(name).values():
        for row in rows:
            assert row["class"] in CLASSES
            assert row["detail"]
            assert row.get("status", "pending") in PUBLIC_STATUSES


def test_the_classes_that_change_a_contact_are_all_reached() -> None:
    reached = {row["class"] for rows in _tables("infobip").values() for row in rows}
    assert reached == CLASSES
    assert {row["class"] for rows in _tables("twilio").values() for row in rows} == CLASSES - {"complaint"}


def test_no_name_of_infobip_means_two_things_in_the_groups_of_failures() -> None:
    tables = _tables("infobip")
    meanings: dict[str, set[tuple[str, str]]] = {}
    for row in tables["statuses"] + tables["bare_ids"]:
        if row["group"] in (2, 5):
            meanings.setdefault(row["name"], set()).add((row["detail"], row["class"]))
    assert [name for name, found in meanings.items() if len(found) > 1] == []


@pytest.mark.parametrize(
    ("name", "table", "key"),
    [
        ("cm", "statuses", ("code",)),
        ("infobip", "statuses", ("group", "id")),
        ("infobip", "bare_ids", ("group", "id")),
        ("infobip", "errors", ("id",)),
        ("twilio", "statuses", ("name",)),
        ("twilio", "errors", ("code",)),
    ],
)
def test_no_code_is_listed_twice(name: str, table: str, key: tuple[str, ...]) -> None:
    keys = [tuple(row[part] for part in key) for row in _tables(name)[table]]
    assert len(keys) == len(set(keys))


def _tables(name: str) -> dict[str, list[dict[str, Any]]]:
    data = json.loads(files("providers").joinpath(f"data/{name}.json").read_text("utf-8"))
    return {key: value for key, value in data.items() if isinstance(value, list)}
