"""CM's status reports, and how its posts are authenticated. Payloads have the shapes of its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from providers.cm import Cm
from providers.xml import MAX_DEPTH
from schemas.ids import derived_id
from schemas.records import RawCallback, Receipt
from tests.examples import examples
from tests.unit.providers.provider_callbacks import FORM, RECEIVED_AT, callback

CM = Cm()

MSG: dict[str, Any] = {
    "received": "2026-03-01T08:00:00",
    "to": "00385911234567",
    "reference": "ORDER77",
    "status": {"code": "3", "errorCode": "905", "errorDescription": "Handset is off"},
    "operator": "21910",
}
TEMPLATE: dict[str, Any] = {
    "received": "[CREATED_S]",
    "to": "[GSM]",
    "reference": "[REFERENCE]",
    "status": {"code": "[STATUS]", "errorCode": "[STATUSDESCRIPTION]", "errorDescription": "[STANDARDERRORTEXT]"},
    "operator": "[OPERATOR]",
}
XML = (
    "<MESSAGES>\n<MSG RECEIVED='2026-03-01T08:00:00'><TO>00385911234567</TO><REFERENCE>ORDER77</REFERENCE>"
    "<STATUS><CODE>3</CODE><ERRORCODE>905</ERRORCODE><ERRORDESCRIPTION>Handset is off</ERRORDESCRIPTION></STATUS>"
    "</MSG>\n</MESSAGES>"
)
LEGACY = {
    "CREATED_S": "2026-03-01T08:00:00",
    "DATETIME_S": "2026-03-01T07:59:00",
    "GSM": "+385 91 123 45 67",
    "REFERENCE": "ORDER77",
    "STANDARDERRORTEXT": "Handset is off",
    "STATUS": "3",
    "STATUSDESCRIPTION": "905",
    "STATUSISSUCCESS": "0",
}


def posted(value: object, content_type: str | None = "application/json") -> RawCallback:
    return callback("cm", orjson.dumps(value), content_type=content_type)


def report(**fields: Any) -> RawCallback:
    return posted({"messages": {"msg": {**MSG, **fields}}})


def xml(text: str) -> RawCallback:
    return callback("cm", text.encode(), content_type="application/xml")


def form(fields: Mapping[str, str] | list[tuple[str, str]]) -> RawCallback:
    return callback("cm", urlencode(fields).encode(), content_type=FORM)


def read(raw: RawCallback) -> Item:
    (item,) = CM.read(raw)
    return item


def read_receipt(raw: RawCallback) -> Receipt:
    item = read(raw)
    assert isinstance(item, Receipt)
    return item


def read_malformed(raw: RawCallback) -> Malformed:
    item = read(raw)
    assert isinstance(item, Malformed)
    return item


def upper_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [upper_keys(each) for each in value]
    return {key.upper(): upper_keys(each) for key, each in value.items()} if isinstance(value, dict) else value


# Reports: the shapes


def expected(raw: str, network: str | None) -> Receipt:
    return Receipt(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="cm",
        provider_message_id="ORDER77",
        sender_reference="ORDER77",
        to="+385911234567",
        status="undeliverable",
        status_detail="FAILED",
        status_class="transient",
        provider_status="3",
        provider_code="905",
        provider_text="Handset is off",
        final=True,
        occurred_at=1_772_352_000_000,
        received_at=RECEIVED_AT,
        network=network,
        raw=raw,
    )


def test_a_json_report_fills_every_field() -> None:
    assert read(report()) == expected(orjson.dumps(MSG).decode(), "21910")


def test_an_xml_report_has_all_but_the_operator() -> None:
    (raw,) = [line for line in XML.splitlines() if "<MSG" in line]
    assert read(xml(XML)) == expected(raw.replace("'", '"'), None)


def test_a_legacy_form_says_the_same() -> None:
    assert read(form(LEGACY)) == expected(urlencode(LEGACY), None)


def test_a_legacy_get_says_the_same() -> None:
    query = "account=acme&" + urlencode(LEGACY)
    assert read(callback("cm", b"", method="GET", query=query)) == expected(query, None)


def test_a_post_without_a_body_is_read_from_its_query() -> None:
    assert read(callback("cm", b"", query=urlencode(LEGACY))) == expected(urlencode(LEGACY), None)


def test_the_secret_of_the_url_reaches_no_item() -> None:
    query = f"account=acme&secret=s3cr3t&{urlencode(LEGACY)}&%73ecret=s3cr3t"
    receipt = read_receipt(callback("cm", b"", method="GET", query=query))
    assert receipt.raw == f"account=acme&{urlencode(LEGACY)}"


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_names_of_form_fields_come_in_any_case(case: Any) -> None:
    fields = {case(name): value for name, value in LEGACY.items()}
    assert read(form(fields)) == expected(urlencode(fields), None)


def test_names_of_json_and_xml_fields_come_in_any_case() -> None:
    loud = upper_keys({"messages": {"msg": MSG}})
    assert read(posted(loud)) == expected(orjson.dumps(loud["MESSAGES"]["MSG"]).decode(), "21910")
    quiet = XML.replace("MESSAGES", "messages").replace("MSG", "msg").replace("CODE", "code").replace("TO>", "to>")
    assert read_receipt(xml(quiet)).provider_code == "905"


def test_the_other_names_of_a_legacy_template_are_understood() -> None:
    fields = {"gsm": "385911234567", "status": "3", "errorcode": "905", "externalstatusdescription": "Off", "time": "x"}
    receipt = read_receipt(form(fields))
    assert (receipt.provider_code, receipt.provider_text, receipt.occurred_at) == ("905", "Off", None)


def test_a_list_of_messages_keeps_its_order() -> None:
    first, bad, last = CM.read(posted({"messages": {"msg": [MSG, {**MSG, "to": "nobody"}, {**MSG, "reference": "B"}]}}))
    assert isinstance(first, Receipt)
    assert isinstance(last, Receipt)
    assert (first.provider_message_id, last.provider_message_id) == ("ORDER77", "B")
    assert last.event_id == derived_id("evt_callback", 2)
    assert isinstance(bad, Receipt)
    assert bad.to is None


def test_several_messages_of_xml_keep_their_order() -> None:
    text = XML.replace("</MSG>", "</MSG><MSG><TO>00385911234568</TO><STATUS><CODE>2</CODE></STATUS></MSG>")
    first, second = CM.read(xml(text))
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert (first.to, second.to) == ("+385911234567", "+385911234568")


def test_the_body_shows_what_it_is_whatever_its_type() -> None:
    body = orjson.dumps({"messages": {"msg": MSG}})
    for content_type in (None, "text/plain", FORM):
        assert read_receipt(callback("cm", body, content_type=content_type)).provider_code == "905"
        assert read_receipt(callback("cm", XML.encode(), content_type=content_type)).provider_code == "905"


@pytest.mark.parametrize("text", [XML, orjson.dumps({"messages": {"msg": MSG}}).decode(), urlencode(LEGACY)])
def test_a_byte_order_mark_is_passed_over(text: str) -> None:
    assert read_receipt(callback("cm", text.encode("utf-8-sig"))).to == "+385911234567"


def test_a_form_is_read_in_the_charset_that_it_declares() -> None:
    body = urlencode(LEGACY).encode().replace(b"Handset", b"T%E9l%E9phone")
    receipt = read_receipt(callback("cm", body, content_type=f"{FORM}; charset=ISO-8859-1"))
    assert receipt.provider_text == "Téléphone is off"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-16", "ISO-8859-1", "Windows-1252"])
def test_xml_is_read_in_the_encoding_that_it_declares(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + XML.replace("Handset", "Téléphone")
    receipt = read_receipt(callback("cm", text.encode(encoding), content_type="text/xml"))
    assert receipt.provider_text == "Téléphone is off"


# Reports: the status


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("0", ("pending", "ACCEPTED", "neutral", False)),
        ("1", ("rejected", "REJECTED", "neutral", True)),
        ("2", ("delivered", "DELIVERED_TO_HANDSET", "delivered", True)),
        ("3", ("undeliverable", "FAILED", "transient", True)),
        ("4", ("delivered", "READ", "delivered", True)),
        (2, ("delivered", "DELIVERED_TO_HANDSET", "delivered", True)),
        (" 2 ", ("delivered", "DELIVERED_TO_HANDSET", "delivered", True)),
    ],
)
def test_the_code_decides(code: object, outcome: tuple[str, str, str, bool]) -> None:
    receipt = read_receipt(report(status={"code": code}))
    assert (receipt.status, receipt.status_detail, receipt.status_class, receipt.final) == outcome
    assert receipt.provider_status == str(code).strip()
    assert (receipt.provider_code, receipt.provider_text) == (None, None)


def test_a_status_may_be_the_code_alone() -> None:
    assert read_receipt(report(status="2")).status == "delivered"


@pytest.mark.parametrize("time", ["", "soon", None, 5, "[CREATED_S]", "0001-01-01T00:00:00", "2026-13-01T00:00:00"])
def test_a_bad_time_does_not_reject_a_report(time: object) -> None:
    assert read_receipt(report(received=time)).occurred_at is None


def test_a_report_may_name_no_recipient() -> None:
    receipt = read_receipt(report(to=""))
    assert (receipt.to, receipt.provider_message_id) == (None, "ORDER77")


# Reports: no reference


def test_a_report_without_reference_gets_a_stable_id() -> None:
    receipt = read_receipt(report(reference=""))
    assert receipt.sender_reference is None
    assert receipt.provider_message_id.startswith("cm-")
    again = read_receipt(posted({"messages": {"msg": {**MSG, "reference": None, "to": "+385 91 123 4567"}}}))
    assert again.provider_message_id == receipt.provider_message_id


@pytest.mark.parametrize(
    "other", [{"to": "00385911234568"}, {"received": "2026-03-01T08:00:01"}, {"status": {"code": "2"}}]
)
def test_another_recipient_time_or_code_makes_another_id(other: dict[str, Any]) -> None:
    one, two = read_receipt(report(reference="")), read_receipt(report(reference="", **other))
    assert one.provider_message_id != two.provider_message_id


def test_without_a_time_the_id_is_that_of_the_callback_alone() -> None:
    first, second = CM.read(posted({"messages": {"msg": [{**MSG, "reference": "", "received": ""}] * 2}}))
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert first.provider_message_id != second.provider_message_id


def test_a_report_without_reference_and_recipient_says_nothing() -> None:
    malformed = read_malformed(report(reference="", to=None))
    assert malformed.reason == "missing_field"
    assert "messages.msg.reference" in malformed.error


# Templates that were not filled


def test_a_template_that_was_posted_unfilled_is_named() -> None:
    malformed = read_malformed(posted({"messages": {"msg": TEMPLATE}}))
    assert (malformed.reason, malformed.item) == ("unfilled_template", orjson.dumps(TEMPLATE).decode())


@pytest.mark.parametrize("pattern", ["[{}]", "%{}%"])
def test_unfilled_form_templates_are_named_too(pattern: str) -> None:
    fields = {name: pattern.format(name) for name in LEGACY}
    assert read_malformed(form(fields)).reason == "unfilled_template"
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    assert read_malformed(callback("cm", b"", method="GET", query=query)).reason == "unfilled_template"


def test_a_placeholder_is_as_good_as_absent() -> None:
    status = {"code": "2", "errorCode": "[STATUSDESCRIPTION]", "errorDescription": "%STANDARDERRORTEXT%"}
    receipt = read_receipt(report(reference="[REFERENCE]", operator="[operator]", status=status))
    assert (receipt.sender_reference, receipt.network) == (None, None)
    assert (receipt.provider_code, receipt.provider_text) == (None, None)


def test_a_text_that_holds_brackets_is_no_placeholder() -> None:
    status = {"code": "3", "errorDescription": "[27] Absent"}
    assert read_receipt(report(status=status)).provider_text == "[27] Absent"


# What cannot be read


@pytest.mark.parametrize(
    ("raw", "reason", "named"),
    [
        (report(status={"code": "5"}), "unknown_status", "messages.msg.status.code is unknown: '5'"),
        (report(status={"code": "x" * 99}), "unknown_status", "'" + "x" * 40 + "'"),
        (report(status={}), "missing_field", "messages.msg.status.code"),
        (report(status={"code": True}), "missing_field", "messages.msg.status.code"),
        (report(status={"code": "[STATUS]"}), "missing_field", "messages.msg.status.code"),
        (report(status=None), "missing_field", "messages.msg.status"),
        (report(TO="00385911234568"), "ambiguous_field", "to"),
        (posted({"messages": {"msg": "text"}}), "wrong_type", "not an object"),
        (posted({"messages": {"msg": [None]}}), "wrong_type", "not an object"),
        (form({**LEGACY, "STATUS": ""}), "missing_field", "STATUS"),
        (form({**LEGACY, "STATUS": "9"}), "unknown_status", "STATUS"),
        (form([*LEGACY.items(), ("status", "2")]), "ambiguous_field", "status"),
        (xml(XML.replace("<CODE>3</CODE>", "<CODE>2</CODE><CODE>3</CODE>")), "missing_field", "status.code"),
        (xml(XML.replace("<CODE>3</CODE>", "")), "missing_field", "messages.msg[0].status.code"),
        (xml("<MSG/>"), "missing_field", "messages.msg.status"),
    ],
)
def test_a_bad_item_is_named(raw: RawCallback, reason: str, named: str) -> None:
    malformed = read_malformed(raw)
    assert malformed.reason == reason
    assert named in malformed.error
    assert malformed.item


def test_the_same_value_twice_is_not_ambiguous() -> None:
    assert read_receipt(form([*LEGACY.items(), ("status", "3"), ("x", "1"), ("x", "2")])).status == "undeliverable"


@pytest.mark.parametrize("number", ["nobody", "(0171) 2345678"])
def test_a_number_that_is_none_costs_only_itself(number: str) -> None:
    receipt = read_receipt(report(to=number))
    assert (receipt.provider_message_id, receipt.to, receipt.status) == ("ORDER77", None, "undeliverable")


def test_a_number_that_is_none_does_not_make_up_for_a_missing_reference() -> None:
    malformed = read_malformed(report(to="(0171) 2345678", reference=None))
    assert malformed.reason == "missing_field"
    assert "0171" not in malformed.error


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b'{"reference":"A","from":{"number":"+38', "application/json", "not_json"),
        (b"Invalid", "application/json", "not_json"),
        (b"[" * 5000, None, "not_json"),
        (b'{"messages": {"msg": ' + b"[" * 300 + b"]" * 300 + b"}}", None, "not_json"),
        (b"<MESSAGES><MSG>", None, "not_xml"),
        (b"Invalid", "text/xml", "not_xml"),
        (b'<?xml version="1.0" encoding="klingon"?><MESSAGES/>', None, "not_xml"),
        (b'<?xml version="1.0" encoding="unicode_escape"?><MESSAGES/>', None, "not_xml"),
        (b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), None, "not_xml"),
        (b"[]", None, "missing_field"),
        (b"{}", None, "missing_field"),
        (b'{"messages": []}', None, "missing_field"),
        (b'{"messages": {}}', None, "missing_field"),
        (b"<MESSAGES/>", None, "missing_field"),
        (b"<html/>", None, "missing_field"),
        (b"", None, "missing_field"),
        (b"\xff\xfe", None, "missing_field"),
        (b"a=b", FORM, "missing_field"),
    ],
)
def test_a_body_that_makes_no_sense_is_unreadable(body: bytes, content_type: str | None, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        CM.read(callback("cm", body, content_type=content_type))
    assert caught.value.reason == reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "declaration",
    [
        "<!DOCTYPE MESSAGES>",
        '<!DOCTYPE MESSAGES SYSTEM "file:///etc/hostname">',
        '<!DOCTYPE m [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE m [<!ENTITY % p SYSTEM "http://203.0.113.7/x.dtd"> %p;]>',
    ],
)
def test_xml_with_a_document_type_is_refused(declaration: str, encoding: str) -> None:
    body = (f'<?xml version="1.0" encoding="{encoding}"?>' + declaration + XML).encode(encoding)
    with pytest.raises(Unreadable, match="document type"):
        CM.read(callback("cm", body, content_type="application/xml"))


@given(text=st.text(alphabet="<>/!?[]&;%\"'= MSGTOxml1", max_size=60), whole=st.booleans())
@settings(max_examples=examples(150))
def test_anything_that_looks_like_xml_is_read_or_unreadable(text: str, whole: bool) -> None:
    body = "<" + text if whole else XML.replace("<TO>00385911234567</TO>", text)
    try:
        outcome: list[Any] = [*CM.read(xml(body))]
    except Unreadable as error:
        outcome = [error.reason if error.reason in {"not_xml", "missing_field"} else None]
    assert outcome
    assert all(outcome)


# Authentication and answer


@pytest.mark.parametrize(
    ("query", "credentials", "code"),
    [
        ("account=acme", {}, None),
        ("account=acme", {"secret": ""}, None),
        ("account=acme&secret=other", {}, None),
        ("account=acme&secret=k-1%2B%2F%C3%A9", {"secret": "k-1+/é"}, None),
        ("account=acme", {"secret": "k-1"}, "missing_secret"),
        ("account=acme&secret=", {"secret": "k-1"}, "wrong_secret"),
        ("account=acme&secret=k-", {"secret": "k-1"}, "wrong_secret"),
        ("account=acme&secret=K-1", {"secret": "k-1"}, "wrong_secret"),
        ("account=acme&secret=k-1&secret=x", {"secret": "k-1"}, "wrong_secret"),
        ("account=acme&secret=%ff", {"secret": "k-1"}, "wrong_secret"),
        ("account=acme&secret=\udcff", {"secret": "k-1"}, "wrong_secret"),
        ("account=acme&secret=k-1", {"secret": "k-2", "secret_previous": "k-1"}, None),
    ],
)
def test_a_secret_that_is_configured_must_be_in_the_url(
    query: str, credentials: dict[str, str], code: str | None
) -> None:
    refusal = refused(query, credentials)
    assert (refusal.code if refusal else None) == code
    assert "k-1" not in str(refusal)


def refused(query: str, credentials: dict[str, str]) -> NotAuthentic | None:
    request = CallbackRequest("POST", f"https://callbacks.example/x?{query}", query, {}, b"{}")
    try:
        CM.verify(request, credentials)
    except NotAuthentic as error:
        return error
    return None


def test_the_answer_is_empty() -> None:
    assert CM.answer(CallbackRequest("POST", "https://x.example/", "", {}, b"{}")) == Answer(b"", None)
