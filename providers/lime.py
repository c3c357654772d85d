"""Lime (Lime Cellular): list responses, one a request, and delivery reports of a private arrangement.

List responses are GET parameters or POST form fields, as the list is set up:
https://support.limecellular.com/hc/en-us/articles/214214323 (lead lists: a keyword and what follows it)
https://support.limecellular.com/hc/en-us/articles/214214443 (opt-in lists: `action`)

Lime documents no delivery reports. Whoever arranges them sends this shape, one report a request, as JSON by POST:

    {"event": "delivery_report", "message_id": "m-1", "mobile_number": "15555550100", "list_id": "1221",
     "status": "failed", "error_code": "104", "error_text": "Invalid number", "occurred_at": "2026-03-01T08:00:00Z"}

All values are strings. `message_id` is what the sender registers as the provider's message id; `status` is one of
pending, delivered, failed, rejected, expired; `occurred_at` is ISO 8601, UTC where it has no zone. The last three
fields are optional, and no others are allowed. Error codes are kept and not interpreted: there is no list of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import orjson

from providers.base import Answer, CallbackRequest, Item, Malformed, Unreadable
from providers.numbers import NotANumber, to_number
from providers.times import iso_millis
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt


class Lime:
    """Provider `lime`."""

    name = "lime"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = True

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Always passes: Lime signs nothing and sends no header of its own.

        What proves a callback is the secret in its path, which ingest has checked by then.
        """

    def read(self, callback: RawCallback) -> list[Item]:
        """One delivery report of a JSON body, else one inbound message of a list response.

        `optin` and `optout` are of the named list, `optout-all` of all lists; without an action it is a reply.
        `update` changes a profile, nobody wrote, and there is no event for that: it is Malformed, `not_supported`.
        """
        try:
            if callback.method != "GET" and _is_json(callback):
                raw, fields = _report_fields(callback.body)
                return [_report(callback, fields, raw)]
            raw, pairs = _form(callback)
            return [_response(callback, pairs, raw)]
        except _Bad as bad:
            return [Malformed(bad.reason, str(bad), raw)]

    def answer(self, request: CallbackRequest) -> Answer:
        """An empty body: what Lime does with an answer is not documented."""
        return Answer()


@dataclass(frozen=True, slots=True)
class Action:
    """What an action of a list response means here."""

    kind: str
    opt_out_scope: str | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status of a delivery report means here."""

    status: str
    detail: str
    status_class: str
    final: bool = True


REPEAT_WINDOW = 60_000
"""Milliseconds within which the same response is taken for a repetition. See `_response_id`."""

_ACTIONS: Mapping[str, Action] = {
    "": Action("reply"),
    "optin": Action("opt_in"),
    "optout": Action("opt_out", "list"),
    "optout-all": Action("opt_out", "all"),
}
_PROFILE_ACTIONS = frozenset({"update"})
_RESPONSE_FIELDS = ("action", "list_id", "mobile_number", "keyword", "data")
_STATUSES: Mapping[str, Meaning] = {
    "pending": Meaning("pending", "PENDING", "neutral", final=False),
    "delivered": Meaning("delivered", "DELIVERED", "delivered"),
    "failed": Meaning("undeliverable", "FAILED", "transient"),
    "rejected": Meaning("rejected", "REJECTED", "neutral"),
    "expired": Meaning("expired", "EXPIRED", "transient"),
}
_REPORT = "delivery_report"
_REQUIRED = ("event", "message_id", "mobile_number", "list_id", "status")
_OPTIONAL = ("error_code", "error_text", "occurred_at")
_us_number = re.compile(r"\+1[0-9]{10}").fullmatch


class _Bad(Exception):
    """A callback that cannot be read."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


def _response(callback: RawCallback, pairs: list[tuple[str, str]], raw: str) -> InboundMessage:
    fields = _response_fields(pairs)
    name = fields["action"].lower()
    if name in _PROFILE_ACTIONS:
        raise _Bad("not_supported", f"action {name} changes a profile; there is no event for that")
    action = _ACTIONS.get(name)
    if action is None:
        raise _Bad("unknown_action", f"action is unknown: {name[:40]!r}")
    if not fields["mobile_number"]:
        raise _Bad("missing_field", "mobile_number is missing")
    number = _number(fields["mobile_number"])
    keyword = fields["keyword"]
    text = " ".join(part for part in (keyword, fields["data"]) if part)
    if action.kind == "reply" and not text:
        raise _Bad("missing_field", "action is missing, and so are keyword and data of a reply")
    return InboundMessage(
        event_id=derived_id(callback.event_id, 0),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=_response_id(fields, number, action.kind, callback.received_at),
        from_=number,
        list_number=fields["list_id"] or None,
        text=text or None,
        kind=action.kind,
        keyword=None if action.kind == "reply" else keyword or None,
        opt_out_scope=action.opt_out_scope,
        received_at=callback.received_at,
        raw=raw,
    )


def _response_id(fields: Mapping[str, str], number: str, kind: str, received_at: int) -> str | None:
    """The id that Lime does not send: the same content in the same minute is the same message.

    An opt-out has none: STOP, START and STOP within a minute must end with the contact out, and to hear an opt-out
    twice does no harm.
    Minutes are those of the clock, so that no state is needed. It errs both ways: a repetition that crosses the
    full minute counts twice, and a person who writes the same twice within a minute is heard once.
    """
    if kind == "opt_out":
        return None
    content = (fields["list_id"], number, fields["action"].lower(), fields["keyword"], fields["data"])
    return derived_id(*content, received_at // REPEAT_WINDOW)


def _report(callback: RawCallback, fields: Mapping[str, object], raw: str) -> Receipt:
    report = _strict(fields)
    meaning = _STATUSES.get(report["status"])
    if meaning is None:
        raise _Bad("unknown_status", f"status is unknown: {report['status'][:40]!r}")
    occurred_at = iso_millis(report.get("occurred_at"))
    if occurred_at is None and "occurred_at" in report:
        raise _Bad("invalid_time", "occurred_at is not an ISO 8601 date and time")
    return Receipt(
        event_id=derived_id(callback.event_id, 0),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=report["message_id"],
        to=_number(report["mobile_number"]),
        status=meaning.status,
        status_detail=meaning.detail,
        status_class=meaning.status_class,
        provider_status=report["status"],
        provider_code=report.get("error_code") or None,
        provider_text=report.get("error_text") or None,
        final=meaning.final,
        occurred_at=occurred_at,
        received_at=callback.received_at,
        raw=raw,
    )


def _strict(fields: Mapping[str, object]) -> dict[str, str]:
    """The fields of a report, when they are those that the shape has, and strings."""
    if "event" in fields and fields["event"] != _REPORT:
        raise _Bad("not_supported", f"event is not {_REPORT}")
    unknown = [name for name in fields if name not in _REQUIRED and name not in _OPTIONAL]
    if unknown:
        names = ", ".join(repr(name[:40]) for name in sorted(unknown)[:5])
        raise _Bad("unknown_field", f"{names}: not a field of a delivery report")
    report: dict[str, str] = {}
    for name, value in fields.items():
        if not isinstance(value, str):
            raise _Bad("wrong_type", f"{name} is not a string")
        report[name] = value
    for name in _REQUIRED:
        if not report.get(name, "").strip():
            raise _Bad("missing_field", f"{name} is missing")
    return report


def _number(text: str) -> str:
    """E.164 of 11 digits that begin with 1. Lime texts within +1 only: any other number is a mistake."""
    try:
        number = to_number(text)
    except NotANumber:
        number = ""
    if not _us_number(number):
        raise _Bad("invalid_number", "mobile_number is not 11 digits that begin with 1")
    return number


def _is_json(callback: RawCallback) -> bool:
    return "json" in (callback.content_type or "").lower() or callback.body.lstrip()[:1] in (b"{", b"[")


def _report_fields(body: bytes) -> tuple[str, dict[str, object]]:
    """The body as text and as an object."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable("not_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Unreadable("wrong_type", "the body is not an object with the fields of a delivery report")
    return body.decode(), value


def _form(callback: RawCallback) -> tuple[str, list[tuple[str, str]]]:
    """The form as text and as pairs: of a GET the query, else the body.

    What is not UTF-8 is replaced and not refused: an opt-out must not be lost for a letter of what follows it.
    """
    form = callback.query.encode(errors="replace") if callback.method == "GET" else callback.body
    raw = form.decode(errors="replace")
    pairs = [pair for pair in parse_qsl(raw, keep_blank_values=True) if pair[0] in _RESPONSE_FIELDS]
    if not pairs:
        raise Unreadable("missing_field", "mobile_number is missing, and so is every other field of a list response")
    return raw, pairs


def _response_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The fields that decide, "" where one is absent. None may have two values: neither could be preferred."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        if fields.setdefault(name, value.strip()) != value.strip():
            raise _Bad("ambiguous_field", f"{name} is given twice with different values")
    return dict.fromkeys(_RESPONSE_FIELDS, "") | fields
