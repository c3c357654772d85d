"""The demo's callbacks, in the providers' own formats, each item with its expected outcome."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from urllib.parse import parse_qsl, urlencode

ACCOUNT = "demo"
LIST = "+18005551234"
TWILIO_TOKEN = "demo-twilio-token"  # noqa: S105 - the demo signs its own callbacks with it
PUBLIC_URL = "https://sms.example.com"

BEGUN_AT = datetime.now(UTC) - timedelta(minutes=30)
"""When the demo's messages were sent."""


class Fate(Enum):
    """The expected outcome of a posted item."""

    WEBHOOK = "a webhook"
    NOTHING_NEW = "nothing: it repeats what is known, or comes too late"
    REJECTED = "a record in the rejected topic"


@dataclass(frozen=True)
class Item:
    """One report or reply in a callback. `webhook` is the name of the webhook it must cause."""

    fate: Fate
    webhook: str | None = None


@dataclass(frozen=True)
class Callback:
    """One HTTP request of a provider."""

    path: str
    body: bytes
    headers: dict[str, str]
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Traffic:
    """Callbacks in waves, those that must be refused, and the expected outcomes.

    A wave is posted once all webhooks of the previous one have arrived, because late items must arrive late.
    """

    waves: list[list[Callback]]
    turned_away: list[tuple[str, Callback, int]]
    removed: dict[str, str]
    of_several_items: set[str]

    @property
    def items(self) -> list[Item]:
        """Every item, in posting order."""
        return [item for wave in self.waves for callback in wave for item in callback.items]

    def webhooks(self, waves: int | None = None) -> set[str]:
        """Return the names of all webhooks that must have arrived after this many waves; without a number, all
        waves."""
        items = [item for wave in self.waves[:waves] for callback in wave for item in callback.items]
        return {item.webhook for item in items if item.webhook} | self.of_several_items


def webhook_name(body: dict[str, str]) -> str:
    """Return a webhook's name as the callbacks predict it: event, message or number, and state."""
    if body["event"] == "delivery":
        return f"delivery {body['message_id']} {body['status']}/{body['status_detail']}"
    if body["event"] == "reply":
        return f"reply {body['phone_number']} {body['body']}"
    return f"{body['event']} {body['phone_number']}"


def traffic() -> Traffic:
    """Return the demo's traffic; the same on every run."""
    fixed = random.Random(4)
    batches = [_infobip([_delivered(f"ib-{25 * n + k}", 25 * n + k) for k in range(25)]) for n in range(12)]
    repeats = [
        Callback(b.path, b.body, b.headers, [Item(Fate.NOTHING_NEW)] * len(b.items)) for b in fixed.sample(batches, 3)
    ]
    failing = [_infobip([_undeliverable(f"fail-{n}", "15557770000", n)]) for n in range(3)]
    spam = _infobip([_spam("spam-1", "15557770001")])
    first = [*batches, *_twilio_reports(0), *_replies(), *_malformed(), *failing, spam]
    late = [*repeats, *_twilio_reports(1)]
    fixed.shuffle(first)
    fixed.shuffle(late)
    removed = {"+15557770000": "bad_response", "+15557770001": "complaint"}
    removed |= {f"+1555888{n:04d}": "message" for n in range(8)}
    removals = {f"removed {number}" for number, reason in removed.items() if reason != "message"}
    return Traffic([first, late], list(_turned_away()), removed, removals)


def _stamp(seconds: float) -> str:
    """Format a time of the demo like Infobip."""
    return (BEGUN_AT + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _infobip(results: list[tuple[dict[str, object], Item]], key: str = "results") -> Callback:
    body = json.dumps({key: [result for result, _ in results]}).encode()
    return _post("infobip", body, "application/json", [item for _, item in results])


def _post(provider: str, body: bytes, content_type: str, items: list[Item], account: str = ACCOUNT) -> Callback:
    path = f"/api/webhook-feedbacks/{provider}?account={account}"
    headers = {"Content-Type": content_type}
    if provider == "twilio":
        headers["X-Twilio-Signature"] = _twilio_signature(PUBLIC_URL + path, body)
    return Callback(path, body, headers, items)


def _report(message_id: str, to: str, group: int, group_name: str, number: int, name: str, n: int) -> dict[str, object]:
    return {
        "bulkId": "DEMO-1",
        "price": {"pricePerMessage": 0.0075, "currency": "USD"},
        "status": {"groupId": group, "groupName": group_name, "id": number, "name": name, "description": name.lower()},
        "error": {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "description": "", "permanent": False},
        "messageId": message_id,
        "to": to,
        "sender": LIST.lstrip("+"),
        "sentAt": _stamp(0),
        "doneAt": _stamp(n // 60 + n % 60 / 1000),
        "messageCount": 1,
        "mccMnc": "310260",
    }


def _delivered(message_id: str, n: int) -> tuple[dict[str, object], Item]:
    report = _report(message_id, f"1555{1_000_000 + n}", 3, "DELIVERED", 5, "DELIVERED_TO_HANDSET", n)
    return report, Item(Fate.WEBHOOK, f"delivery {message_id} delivered/DELIVERED_TO_HANDSET")


def _undeliverable(message_id: str, to: str, n: int) -> tuple[dict[str, object], Item]:
    report = _report(message_id, to, 2, "UNDELIVERABLE", 4, "UNDELIVERABLE_REJECTED_OPERATOR", n)
    return report, Item(Fate.WEBHOOK, f"delivery {message_id} undeliverable/REJECTED_OPERATOR")


def _spam(message_id: str, to: str) -> tuple[dict[str, object], Item]:
    report = _report(message_id, to, 5, "REJECTED", 51, "REJECTED_SPAM", 1)
    return report, Item(Fate.WEBHOOK, f"delivery {message_id} rejected/REJECTED_SPAM")


def _twilio_reports(wave: int) -> Iterator[Callback]:
    """Messages that are sent, then delivered. For every second one, `sent` arrives last: too late to be news."""
    for n in range(60):
        sid = f"SM{n:032x}"
        state = ["sent", "delivered"][wave if n % 2 else 1 - wave]
        if state == "delivered":
            item = Item(Fate.WEBHOOK, f"delivery {sid} delivered/DELIVERED_TO_HANDSET")
        elif wave == 0:
            item = Item(Fate.WEBHOOK, f"delivery {sid} pending/SENT")
        else:
            item = Item(Fate.NOTHING_NEW)
        form = {"AccountSid": "AC" + "0" * 32, "From": LIST, "To": f"+1555{2_000_000 + n}", "MessageSid": sid}
        yield _twilio({**form, "MessageStatus": state}, item)


def _twilio(form: dict[str, str], item: Item) -> Callback:
    return _post("twilio", urlencode(form).encode(), "application/x-www-form-urlencoded", [item])


def _replies() -> Iterator[Callback]:
    for n in range(8):
        number = f"1555888{n:04d}"
        text = ["STOP", "stop", " Stop. ", "UNSUBSCRIBE"][n % 4]
        item = Item(Fate.WEBHOOK, f"unsubscribe +{number}")
        yield _inbound_infobip(number, text, item) if n % 2 else _inbound_twilio(number, text, item)
    for n in range(12):
        number, text = f"1555999{n:04d}", ["Thanks!", "What time?", "I'll stop by later", "YES please"][n % 4]
        item = Item(Fate.WEBHOOK, f"reply +{number} {text}")
        yield _inbound_infobip(number, text, item) if n % 2 else _inbound_twilio(number, text, item)


def _inbound_infobip(number: str, text: str, item: Item) -> Callback:
    reply: dict[str, object] = {
        "messageId": f"mo-{number}",
        "from": number,
        "to": LIST.lstrip("+"),
        "text": text,
        "cleanText": text,
        "keyword": "",
        "receivedAt": _stamp(1_200),
        "smsCount": 1,
    }
    return _infobip([(reply, item)])


def _inbound_twilio(number: str, text: str, item: Item) -> Callback:
    form = {"MessageSid": f"SMmo{number}", "AccountSid": "AC" + "0" * 32, "From": f"+{number}", "To": LIST,
            "Body": text, "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received"}  # fmt: skip
    return _twilio(form, item)


def _malformed() -> Iterator[Callback]:
    rejected = Item(Fate.REJECTED)
    yield _post("infobip", b"Invalid", "application/json", [rejected])
    yield _post("infobip", b'{"results": "none"}', "application/json", [rejected])
    yield _post("infobip", b'{"results": [\xff\xfe]}', "application/json", [rejected])
    yield _infobip([(_delivered("lost", 1)[0], rejected)], key="deliveryReport")
    yield _twilio({"MessageSid": "SMhuh", "MessageStatus": "huh"}, rejected)
    good = [_delivered(f"mixed-{n}", 900 + n) for n in range(6)]
    # A recipient that is not a number costs the recipient, not the report.
    report, told = _delivered("bad-to", 950)
    no_number = {**report, "to": "not a number"}
    no_id = _delivered("gone", 951)[0]
    del no_id["messageId"]
    unknown = {**_delivered("bad-group", 952)[0], "status": {"groupName": "UNEXPECTED"}}
    yield _infobip([*good[:3], (no_number, told), (no_id, rejected), *good[3:], (unknown, rejected)])


def _turned_away() -> Iterator[tuple[str, Callback, int]]:
    forged = _twilio({"MessageSid": "SMforged", "MessageStatus": "delivered"}, Item(Fate.REJECTED))
    forged.headers["X-Twilio-Signature"] = base64.b64encode(b"no signature at all.").decode()
    yield "a forged Twilio signature", forged, 403
    yield "an unknown account", _post("infobip", b"{}", "application/json", [], account="nobody"), 404
    yield "a body of 5 MiB", _post("infobip", b" " * (5 << 20), "application/json", []), 413


def _twilio_signature(url: str, body: bytes) -> str:
    fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    text = url + "".join(key + value for key, value in fields)
    return base64.b64encode(hmac.new(TWILIO_TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()
