"""Callbacks such as each provider and network sends, with its proof: for trying out an installation, and for tests.

A new provider adds the function that makes its samples, the one that proves them, and a line in SOURCES.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from providers.base import CallbackRequest
from providers.networks import TOKEN
from providers.proof import URL_SECRET, base64_signature, sha1_signature

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

TOPICS: Mapping[str, str] = {
    "delivered": "receipts",
    "failed": "receipts",
    "reply": "inbound",
    "opt_out": "inbound",
    "opt_in": "inbound",
    "click": "clicks",
    "conversion": "postbacks",
    "refund": "postbacks",
}
"""Kind of a sample -> the topic, by its short name, where it comes out."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What samples are about: numbers of a contact and a list, the provider's own id of the list, a time in UTC."""

    contact: str
    list_number: str
    list_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """One callback, not yet proven. Its marker stands in `raw` of what it becomes. A GET has its fields in `query`."""

    kind: str
    marker: str
    body: bytes = b""
    content_type: str | None = None
    method: str = "POST"
    query: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where one provider's samples go, how they are made, of a marker that theirs begin with, and how proven."""

    path: str
    samples: Callable[[str, Occasion], Iterable[Sample]]
    prove: Callable[[CallbackRequest, Mapping[str, str]], CallbackRequest]

    def request(self, sample: Sample, url: str, credentials: Mapping[str, str]) -> CallbackRequest:
        """The request that the provider makes for a sample, were it given this URL, `https://.../x?account=ID`."""
        full = f"{url}&{sample.query}" if sample.query else url
        headers = {} if sample.content_type is None else {"content-type": sample.content_type}
        query = full.partition("?")[2]
        return self.prove(CallbackRequest(sample.method, full, query, headers, sample.body), credentials)


def _infobip(marker: str, occasion: Occasion) -> Iterator[Sample]:
    contact, list_number = occasion.contact.lstrip("+"), occasion.list_number.lstrip("+")
    time = occasion.now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    delivered = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
    failed = {"groupId": 2, "groupName": "UNDELIVERABLE", "id": 4, "name": "UNDELIVERABLE_REJECTED_OPERATOR"}
    report = {"to": contact, "sender": list_number, "sentAt": time, "doneAt": time, "messageCount": 1}
    reply = {"from": contact, "to": list_number, "receivedAt": time, "smsCount": 1}
    items = {
        "delivered": {**report, "status": delivered},
        "failed": {**report, "status": failed},
        "reply": {**reply, "text": "What time?"},
        "opt_out": {**reply, "text": "STOP"},
    }
    for n, (kind, item) in enumerate(items.items()):
        yield Sample(kind, f"{marker}{n}", orjson.dumps({"results": [{"messageId": f"{marker}{n}", **item}]}), JSON)
    click = {"notificationType": "CLICKED", "recipient": contact, "url": "https://shop.example/"}
    click_time = int(occasion.now.timestamp() * 1000)
    body = orjson.dumps({**click, "messageId": f"{marker}9", "sendDateTime": click_time})
    yield Sample("click", f"{marker}9", body, JSON)


def _prove_infobip(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    headers = dict(request.headers)
    if credentials.get("username"):
        pair = f"{credentials['username']}:{credentials.get('password', '')}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if credentials.get("header_name"):
        headers[credentials["header_name"].lower()] = credentials.get("header_value", "")
    return _prove_by_url(replace(request, headers=headers), credentials)


def _prove_by_url(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    return _with_parameter(request, URL_SECRET, credentials.get(URL_SECRET))


def _cm(marker: str, occasion: Occasion) -> Iterator[Sample]:
    time = occasion.now.strftime("%Y-%m-%dT%H:%M:%S")
    for n, (kind, code) in enumerate({"delivered": "2", "failed": "3"}.items()):
        status = {"code": code, "errorCode": "", "errorDescription": ""}
        msg = {"received": time, "to": "00" + occasion.contact.lstrip("+"), "reference": f"{marker}{n}"}
        yield Sample(kind, f"{marker}{n}", orjson.dumps({"messages": {"msg": {**msg, "status": status}}}), JSON)
    numbers = {"from": {"number": occasion.contact, "name": ""}, "to": {"number": occasion.list_number}}
    for n, (kind, text) in enumerate({"reply": "What time?", "opt_out": "STOP"}.items(), 2):
        reply = {"reference": f"{marker}{n}", **numbers, "message": {"text": text}, "timeUtc": time, "channel": "SMS"}
        yield Sample(kind, f"{marker}{n}", orjson.dumps(reply), JSON)


def _twilio(marker: str, occasion: Occasion) -> Iterator[Sample]:
    report = {"To": occasion.contact, "From": occasion.list_number}
    message = {"From": occasion.contact, "To": occasion.list_number, "NumMedia": "0", "SmsStatus": "received"}
    forms: dict[str, dict[str, str]] = {
        "delivered": {**report, "MessageStatus": "delivered", "SmsStatus": "delivered"},
        "failed": {**report, "MessageStatus": "undelivered", "SmsStatus": "undelivered", "ErrorCode": "30003"},
        "reply": {**message, "Body": "What time?"},
        "opt_out": {**message, "Body": "STOP", "OptOutType": "STOP"},
    }
    for n, (kind, form) in enumerate(forms.items()):
        same = {"AccountSid": "AC" + "0" * 32, "MessageSid": f"{marker}{n}", "SmsSid": f"{marker}{n}"}
        yield Sample(kind, f"{marker}{n}", urlencode({**same, **form}).encode(), FORM)


def _prove_twilio(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    pairs = sorted(set(parse_qsl(request.body.decode(), keep_blank_values=True)))
    signed = request.url + "".join(name + value for name, value in pairs)
    shared = credentials.get("shared_key") if "auth_token" not in credentials else None
    if shared is None:
        signature = sha1_signature(credentials.get("auth_token", ""), signed.encode())
        return replace(request, headers={**request.headers, "x-twilio-signature": signature})
    headers = {
        "x-twilio-signature": base64_signature(shared, signed.encode(), "sha256"),
        "x-twilio-webhooks-signature-settings": "key=trackly,algorithm=HMAC_SHA256",
    }
    return replace(request, headers={**request.headers, **headers})


def _lime(marker: str, occasion: Occasion) -> Iterator[Sample]:
    of_contact = {"list_id": occasion.list_id, "mobile_number": occasion.contact.lstrip("+")}
    time = occasion.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    for n, status in enumerate(("delivered", "failed")):
        report = {"event": "delivery_report", "message_id": f"{marker}{n}", "status": status, "occurred_at": time}
        yield Sample(status, f"{marker}{n}", orjson.dumps({**report, **of_contact}), JSON)
    reply = {**of_contact, "keyword": "PIZZA", "data": "What time?", "userDefine1": f"{marker}2"}
    yield Sample("reply", f"{marker}2", method="GET", query=urlencode(reply))
    for n, (kind, action, keyword) in enumerate((("opt_out", "optout", "STOP"), ("opt_in", "optin", "PIZZA")), 3):
        response = {**of_contact, "action": action, "keyword": keyword, "userDefine1": f"{marker}{n}"}
        yield Sample(kind, f"{marker}{n}", urlencode(response).encode(), FORM)


def _prove_nothing(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    return request


def _eztexting(marker: str, occasion: Occasion) -> Iterator[Sample]:
    numbers = {"fromNumber": occasion.contact.lstrip("+"), "toNumber": occasion.list_number.lstrip("+")}
    message, keyword = "inbound_text.received", "keyword.opt_in"
    events: dict[str, dict[str, object]] = {
        "reply": {"type": message, "message": "What time?", "optIn": False, "optOut": False},
        "opt_out": {"type": message, "message": "STOP", "optIn": False, "optOut": True},
        "opt_in": {"type": keyword, "keyword": "PIZZA"},
    }
    for n, (kind, event) in enumerate(events.items()):
        # Two messages of one number and one time would be the same message.
        received = occasion.now.strftime(f"%Y-%m-%dT%H:%M:%S.{n:03}+00:00")
        body = orjson.dumps({"id": f"{marker}{n}", **numbers, "received": received, **event})
        yield Sample(kind, f"{marker}{n}", body, JSON)


def _prove_eztexting(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    secret = credentials.get("secret")
    if not secret:
        return request
    return replace(request, headers={**request.headers, "x-signature": sha1_signature(secret, request.body)})


def _network(marker: str, occasion: Occasion) -> Iterator[Sample]:
    """Postbacks of a click that nobody registered. `payout` and `type` are names that every network's file has."""
    for n, (kind, payout, conversion) in enumerate([("conversion", "1.25", "sale"), ("refund", "-1.25", "refund")]):
        fields = {"click_id": f"{marker}{n}", "payout": payout, "currency": "USD", "type": conversion}
        yield Sample(kind, f"{marker}{n}", method="GET", query=urlencode(fields))


def _prove_by_token(request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
    return _with_parameter(request, TOKEN, credentials.get(TOKEN))


def _with_parameter(request: CallbackRequest, name: str, value: str | None) -> CallbackRequest:
    added = f"&{name}={quote(value, safe='')}" if value else ""
    return replace(request, url=request.url + added, query=request.query + added)


SOURCES: Mapping[str, Source] = {
    "cm": Source("/api/webhook-feedbacks/cm", _cm, _prove_by_url),
    "everflow": Source("/api/postbacks/everflow", _network, _prove_by_token),
    "eztexting": Source("/api/webhook-feedbacks/eztexting", _eztexting, _prove_eztexting),
    "infobip": Source("/api/webhook-feedbacks/infobip", _infobip, _prove_infobip),
    "lime": Source("/api/webhook-feedbacks/lime", _lime, _prove_nothing),
    "tune": Source("/api/postbacks/tune", _network, _prove_by_token),
    "twilio": Source("/api/webhook-feedbacks/twilio", _twilio, _prove_twilio),
}
"""By the name of the provider or network."""
