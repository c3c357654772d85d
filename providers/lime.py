"""Lime (Lime Cellular): list responses, one per request, and delivery reports by private arrangement.

List responses are GET parameters or POST form fields, depending on the list's setup:
https://support.limecellular.com/hc/en-us/articles/214214323 (lead lists: a keyword and what follows it)
https://support.limecellular.com/hc/en-us/articles/214214443 (opt-in lists: `action`)

Lime documents no delivery reports. By private arrangement it sends this shape, one report per request, as JSON by POST:

    {"event": "delivery_report", "message_id": "m-1", "mobile_number": "15555550100", "list_id": "1221",
     "status": "failed", "error_code": "104", "error_text": "Invalid number", "occurred_at": "2026-03-01T08:00:00Z"}

All values are strings. `message_id` is the id that the sender registers as the provider's message id; `occurred_at` is
ISO 8601, UTC if it has no zone. The last three fields are optional, and others are not allowed. `data/lime.json` says
what actions and statuses mean here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from providers.base import (
    BEFORE_IT_IS_LOST,
    SMALL_BODY,
    Answer,
    CallbackRequest,
    Codes,
    Item,
    Malformed,
    Provider,
    Unreadable,
)
from providers.bodies import is_json, json_object, read_form
from providers.bounds import within_bounds
from providers.fields import BadItem, number_or_none, origin, unambiguous
from providers.meanings import meanings, tables
from providers.numbers import without_punctuation
from providers.proof import PATH_SECRET
from providers.times import iso_millis
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt


class Lime:
    """The provider `lime`."""

    name = "lime"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = True
    answer_within: float | None = BEFORE_IT_IS_LOST  # whether Lime retries is undocumented
    max_body_bytes = SMALL_BODY
    credentials: tuple[str, ...] = (PATH_SECRET,)
    secrets: frozenset[str] = frozenset({PATH_SECRET})
    proof_headers: frozenset[str] = frozenset()
    codes: Codes | None = Codes()
    sent_details: frozenset[str] = frozenset()
    billing_details: frozenset[str] = frozenset()
    has_zoneless_times = False
    texts_answers = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Accept every callback: Lime signs nothing and sends no header of its own.

        Ingest has already checked the secret in the path, which is the proof.
        """

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Return the request unchanged: the path secret is the only proof."""
        return request

    @within_bounds
    def read(self, callback: RawCallback) -> list[Item]:
        """Read one delivery report of a JSON body, or else one inbound message of a list response.

        `optin` and `optout` apply to the named list, `optout-all` to all lists; without an action the message is a
        reply. `update` changes a profile without anybody writing, so it is Malformed, `not_supported`.
        """
        try:
            if callback.method != "GET" and is_json(callback):
                fields, raw = json_object(callback)
                return [_report(callback, fields, raw)]
            form = read_form(callback)
            raw = form.raw
            return [_response(callback, form.pairs, raw)]
        except BadItem as bad:
            return [Malformed(bad.reason, str(bad), raw)]

    def answer(self, request: CallbackRequest) -> Answer:
        """Return an empty body: what Lime does with an answer is undocumented."""
        return Answer()


PROVIDER: Provider = Lime()


REPEAT_WINDOW = 60_000
"""Milliseconds within which an identical response counts as a repeat. See `_response_id`."""

_TABLES = tables("lime")
_STATUSES = meanings(_TABLES["statuses"], "name")
_ACTIONS: Mapping[str, tuple[str, str | None]] = {
    row["action"]: (row["kind"], row["scope"]) for row in _TABLES["actions"]
}
"""Action of a list response -> message kind, and the scope of an opt-out."""
_PROFILE_ACTIONS = frozenset({"update"})
_RESPONSE_FIELDS = ("action", "list_id", "mobile_number", "keyword", "data")
_REPORT = "delivery_report"
_REQUIRED = ("event", "message_id", "mobile_number", "list_id", "status")
_OPTIONAL = ("error_code", "error_text", "occurred_at")
_national = re.compile(r"[2-9][0-9]{2}[2-9][0-9]{6}").fullmatch


def _response(callback: RawCallback, pairs: list[tuple[str, str]], raw: str) -> InboundMessage:
    given = unambiguous(((name, value.strip()) for name, value in pairs if name in _RESPONSE_FIELDS), _RESPONSE_FIELDS)
    if not given:
        raise Unreadable("missing_field", "mobile_number is missing, and so is every other field of a list response")
    fields: dict[str, str] = dict.fromkeys(_RESPONSE_FIELDS, "") | given
    name = fields["action"].lower()
    if name in _PROFILE_ACTIONS:
        raise BadItem("not_supported", f"action {name} changes a profile, which produces no event")
    if name not in _ACTIONS:
        raise BadItem("unknown_action", f"action is unknown: {name[:40]!r}")
    if not fields["mobile_number"]:
        raise BadItem("missing_field", "mobile_number is missing")
    kind, scope = _ACTIONS[name]
    sender = number_or_none(_international(fields["mobile_number"])) or ""
    if not sender.startswith("+"):
        raise BadItem("invalid_number", "mobile_number is not a phone number")
    keyword = fields["keyword"]
    text = " ".join(part for part in (keyword, fields["data"]) if part)
    if kind == "reply" and not text:
        raise BadItem("missing_field", "action is missing, and so are keyword and data of a reply")
    return InboundMessage(
        **origin(callback, 0),
        provider_message_id=_response_id(fields, sender, kind, callback.received_at),
        from_=sender,
        list_number=fields["list_id"] or None,
        text=text or None,
        kind=kind,
        keyword=keyword or None,
        opt_out_scope=scope,
        raw=raw,
    )


def _response_id(fields: Mapping[str, str], sender: str, kind: str, received_at: int) -> str | None:
    """Make the id that Lime does not send: identical content in the same minute is one message.

    An opt-out has none: STOP, START, and STOP within a minute must leave the contact out, and handling an opt-out twice
    does no harm. Minutes follow the clock, so no state is needed. It errs both ways: a repeat that crosses a full
    minute counts twice, and a person who writes the same text twice within a minute is heard once.
    """
    if kind == "opt_out":
        return None
    content = (fields["list_id"], sender, fields["action"].lower(), fields["keyword"], fields["data"])
    return derived_id(*content, received_at // REPEAT_WINDOW)


def _report(callback: RawCallback, fields: Mapping[str, object], raw: str) -> Receipt:
    report = _strict(fields)
    meaning = _STATUSES.get(report["status"])
    if meaning is None:
        raise BadItem("unknown_status", f"status is unknown: {report['status'][:40]!r}")
    return Receipt(
        **origin(callback, 0),
        **meaning.outcome(),
        provider_message_id=report["message_id"],
        to=number_or_none(_international(report["mobile_number"])),
        provider_status=report["status"],
        provider_code=report.get("error_code") or None,
        provider_text=report.get("error_text") or None,
        occurred_at=iso_millis(report.get("occurred_at")),
        raw=raw,
    )


def _strict(fields: Mapping[str, object]) -> dict[str, str]:
    """Return a report's fields if they are strings and exactly those of the shape."""
    if "event" in fields and fields["event"] != _REPORT:
        raise BadItem("not_supported", f"event must be {_REPORT}")
    unknown = [name for name in fields if name not in _REQUIRED and name not in _OPTIONAL]
    if unknown:
        names = ", ".join(repr(name[:40]) for name in sorted(unknown)[:5])
        raise BadItem("unknown_field", f"{names}: not a field of a delivery report")
    report: dict[str, str] = {}
    for name, value in fields.items():
        if not isinstance(value, str):
            raise BadItem("wrong_type", f"{name} is not a string")
        report[name] = value
    for name in _REQUIRED:
        if not report.get(name, "").strip():
            raise BadItem("missing_field", f"{name} is missing")
    return report


def _international(written: str) -> str:
    """Return the number with its country code. Ten digits are a +1 number: Lime works there, and people leave out the
    1."""
    digits = without_punctuation(written.strip())
    return f"1{digits}" if _national(digits) else written
