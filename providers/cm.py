"""CM.com: status reports and inbound messages, usually one per request.

https://developers.cm.com/messaging/docs/incoming-status-report: JSON or XML that CM fills into a text template. Older
accounts have a URL template instead, which arrives as a GET or as form fields.
https://developers.cm.com/messaging/docs/incoming-messages, and the old, flat form of these:
https://docs.cmtelecom.com/en/api/mo-webhooks/1.0/index/. A tapped button comes with a message, in `custom`
(https://developers.cm.com/messaging/docs/facebook-messenger-inbound), or as an event
(https://developers.cm.com/messaging/docs/rcs-incoming-events).
CM has no message ID of its own. A report names the sender's `reference`, which is the message ID here, so senders who
want their reports matched must set one. Field names come in any case. `data/cm.json` says what each status code means
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from providers import xml
from providers.base import (
    NOT_SUPPORTED,
    SMALL_BODY,
    Answer,
    CallbackRequest,
    Codes,
    Item,
    Malformed,
    Provider,
    Unreadable,
)
from providers.bodies import is_json, is_xml, json_text, json_value, read_form
from providers.bounds import within_bounds
from providers.fields import BadItem, bounded, chosen, mapping, number_or_none, origin, text, unambiguous
from providers.meanings import meanings, tables
from providers.numbers import to_sender
from providers.proof import require_url_secret, with_url_secret
from providers.times import iso_millis
from schemas.ids import derived_id
from schemas.numbering import user_id_of
from schemas.records import InboundMessage, RawCallback, Receipt


class Cm:
    """Provider `cm`."""

    name = "cm"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = False
    answer_within: float | None = None  # CM retries for days
    max_body_bytes = SMALL_BODY
    credentials: tuple[str, ...] = ("secret",)
    secrets: frozenset[str] = frozenset({"secret"})
    proof_headers: frozenset[str] = frozenset()
    codes: Codes | None = Codes()
    sent_details: frozenset[str] = frozenset({"ACCEPTED"})
    billing_details: frozenset[str] = frozenset()
    has_zoneless_times = False
    texts_answers = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """Check the secret in the URL. CM signs nothing: if the account has no secret, every callback passes."""
        require_url_secret(request, credentials)

    def prove(self, request: CallbackRequest, credentials: Mapping[str, str]) -> CallbackRequest:
        """Add the secret to the URL, if the account has one."""
        return with_url_secret(request, credentials)

    @within_bounds
    def read(self, callback: RawCallback) -> list[Item]:
        """Read the body. A post with `status` is a report; one with `from` and an event, a message, a body, or a time
        is a reply.

        A report without a reference gets an id made of recipient, time, and code: it cannot be matched to a message,
        but still says something about the contact. Replies never have an id. They get one made of numbers, time, and
        content, so that a repeated post counts as one reply. In the old form they have no time, and then get no id,
        because a person may send the same word again. A time without a zone is UTC.
        """
        return [_read_item(callback, index, post) for index, post in enumerate(_posts(callback))]

    def answer(self, request: CallbackRequest) -> Answer:
        """Return an empty body. CM repeats an inbound message for a month unless the status is 200."""
        return Answer()


PROVIDER: Provider = Cm()


@dataclass(frozen=True, slots=True)
class Post:
    """One report or reply. `where` prefixes its field names in errors; it is "" for a post that came alone."""

    where: str
    raw: str
    value: Any
    is_form: bool = False

    def named(self, field: str) -> str:
        """Return the name of a field of this post, for errors."""
        return _SHOWN_IN_FORM.get(field, field.upper()) if self.is_form else self.where + field

    def refused(self, reason: str, error: str) -> BadItem | Unreadable:
        """Return the error for a post that is neither a report nor a reply. A post that came alone makes the body
        unreadable."""
        return BadItem(reason, error) if self.where else Unreadable(reason, error)


_MEANINGS = meanings(tables("cm")["statuses"], "code")
_FORM: Mapping[str, tuple[str, ...]] = {
    "to": ("gsm", "to"),
    "reference": ("reference",),
    "received": ("created_s", "datetime_s", "time"),
    "operator": ("operator",),
}
"""Fields of a report by JSON name -> form names, in order of preference."""
_FORM_STATUS: Mapping[str, tuple[str, ...]] = {
    "code": ("status",),
    "errorcode": ("statusdescription", "errorcode"),
    "errordescription": ("standarderrortext", "externalstatusdescription"),
}
_SHOWN_IN_FORM: Mapping[str, str] = {"to": "GSM", "reference": "REFERENCE", "status.code": "STATUS"}
_DECIDING_FIELDS = frozenset(
    {
        *(name for names in (*_FORM.values(), *_FORM_STATUS.values()) for name in names),
        *("received", "code", "from", "number", "message", "text", "body", "timeutc", "event"),
    }
)
_TAPPED = "suggestionclick"
"""The event of a tapped suggestion."""
_SILENT = frozenset(
    {"clientinstalled", "clientupdated", "humanagentrequested", "istyping", "messagedelete", "storymention"}
)
"""Events that concern no message or opt-out."""
_PAYLOADS = ("postbackdata", "payload")
_LABELS = ("label", "title", "text")
_MAX_DEPTH = 8
"""Levels of a `custom` object that are searched for a tapped button. A WhatsApp list reply has three."""
_has_ids_of_its_own = re.compile(r"apple|facebook|google|imessage|instagram|line|telegram|twitter").match
"""Whether a channel identifies people by ids of its own (possibly digits), not phone numbers."""
_REPLY_FIELDS = ("message", "body", "timeutc")
_placeholder = re.compile(r"\[[A-Z_][A-Z0-9_]*\]|%[A-Z_][A-Z0-9_]*%", re.I | re.A).fullmatch


def _read_item(callback: RawCallback, index: int, post: Post) -> Item:
    try:
        fields = _folded(post.value)
        if fields.get("status") is not None:
            return _report(callback, index, _named_as_json(fields) if post.is_form else fields, post)
        if fields.get("from") is not None and _is_event(fields):
            return _event(callback, index, fields, post)
        if fields.get("from") is not None and any(fields.get(name) is not None for name in _REPLY_FIELDS):
            return _reply(callback, index, fields, post)
        raise post.refused("missing_field", f"{post.named('status')} is missing, and the item is not a reply either")
    except BadItem as bad:
        return Malformed(bad.reason, str(bad), post.raw)


def _report(callback: RawCallback, index: int, fields: Mapping[str, Any], post: Post) -> Receipt:
    status = fields["status"]
    outcome = _folded(status) if isinstance(status, dict) else {"code": status}
    written_to, code = _dialed(_written(fields.get("to"))), text(outcome.get("code")).strip()
    if _placeholder(written_to) and _placeholder(code):
        names = f"{post.named('to')} and {post.named('status.code')}"
        raise BadItem("unfilled_template", f"{names} are placeholders: CM's template was posted unfilled")
    if not _filled(code):
        raise BadItem("missing_field", f"{post.named('status.code')} is missing")
    meaning = _MEANINGS.get(code)
    if meaning is None:
        raise BadItem("unknown_status", f"{post.named('status.code')} is unknown: {code[:40]!r}")
    to = number_or_none(written_to) if _filled(written_to) else None
    reference = _field(fields.get("reference"))
    if not reference and to is None:
        names = f"{post.named('reference')} is missing, and so is {post.named('to')}"
        raise BadItem("missing_field", f"{names}: nothing identifies the message or the recipient")
    received = _field(fields.get("received"))
    occurred_at = _millis(received)
    source = origin(callback, index)
    return Receipt(
        **source,
        **meaning.outcome(),
        # Without a time, a repeated report looks like a second one, so both count.
        provider_message_id=reference or _made_id(to, source["event_id"] if occurred_at is None else received, code),
        sender_reference=reference or None,
        to=to,
        provider_status=code,
        provider_code=_field(outcome.get("errorcode")) or None,
        provider_text=_field(outcome.get("errordescription")) or None,
        occurred_at=occurred_at,
        network=_field(fields.get("operator")) or None,
        raw=post.raw,
        channel=_field(fields.get("channel")).lower() or None,
        user_id=user_id_of(written_to),
    )


def _reply(callback: RawCallback, index: int, fields: Mapping[str, Any], post: Post) -> InboundMessage:
    if "webhooktoken" in fields:
        raise post.refused("not_supported", "this is a copy of a sent message, from CM's MT webhook")
    who = _parties(fields, post)
    content = _content(fields)
    time = _field(fields.get("timeutc"))
    occurred_at = _millis(time)
    made_id = _made_id(who.sender, who.to, time, content.text, *content.media, *content.payloads)
    return InboundMessage(
        **origin(callback, index),
        provider_message_id=None if occurred_at is None else made_id,
        in_reply_to=_field(fields.get("reference")) or None,
        from_=who.sender,
        to=who.to,
        text=content.text,
        media=content.media,
        keyword=chosen(content.payloads) or content.title or None,
        occurred_at=occurred_at,
        raw=post.raw,
        channel=who.channel,
        user_id=who.user_id,
    )


def _is_event(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("event"), dict) and fields.get("message") is None and fields.get("body") is None


def _event(callback: RawCallback, index: int, fields: Mapping[str, Any], post: Post) -> InboundMessage:
    """Read a tapped suggestion. An event has an id of its own, `reference`, and names the answered message as
    `messageContext`."""
    event = _lowered(fields["event"])
    kind = text(event.get("type")).strip()
    if kind.lower() != _TAPPED:
        reason = NOT_SUPPORTED if kind.lower() in _SILENT else "unknown_event"
        raise BadItem(reason, f"{post.where}event.type is {kind[:40]!r}, which produces no event")
    who = _parties(fields, post)
    payloads = tuple(tap.payload for tap in _taps(event.get("custom")))
    time = _field(fields.get("timeutc"))
    occurred_at = _millis(time)
    made_id = None if occurred_at is None else _made_id(who.sender, who.to, time, kind, *payloads)
    return InboundMessage(
        **origin(callback, index),
        provider_message_id=_field(fields.get("reference")) or made_id,
        in_reply_to=_field(fields.get("messagecontext")) or None,
        from_=who.sender,
        to=who.to,
        text=_first(_lowered(event.get("custom")), _LABELS) or None,
        keyword=chosen(payloads),
        occurred_at=occurred_at,
        raw=post.raw,
        channel=who.channel,
        user_id=who.user_id,
    )


class Parties(NamedTuple):
    """Who wrote to whom, over which channel."""

    sender: str
    to: str | None
    channel: str | None
    user_id: str | None


def _parties(fields: Mapping[str, Any], post: Post) -> Parties:
    written_from, written_to = _written(fields["from"]), _field(_written(fields.get("to")))
    if _placeholder(written_from):
        raise BadItem("unfilled_template", f"{post.where}from is a placeholder: CM's template was posted unfilled")
    if not written_from:
        raise BadItem("missing_field", f"{post.where}from has no number")
    channel = _field(fields.get("channel")).lower()
    if _has_ids_of_its_own(channel):
        return Parties(written_from, written_to or None, channel, written_from)
    sender = to_sender(_dialed(written_from))
    return Parties(sender, to_sender(_dialed(written_to)) or None, channel or None, user_id_of(sender))


class Tap(NamedTuple):
    """A tapped button, suggestion, or item of a list."""

    payload: str
    label: str


class Content(NamedTuple):
    """The content of a reply. `title` is that of a file without a text beside it."""

    text: str | None
    media: tuple[str, ...]
    payloads: tuple[str, ...]
    title: str


def _content(fields: Mapping[str, Any]) -> Content:
    """Return text, media, and payloads of tapped buttons. A contact or location has an empty text, and stays in the raw
    item only."""
    message = fields.get("message")
    content = _folded(message) if isinstance(message, dict) else {"text": message}
    words = content.get("text")
    words = fields.get("body") if words is None else words
    written = None if words is None else text(words)
    media = content.get("media")
    files = [_folded(file) for file in (media if isinstance(media, list) else [media]) if isinstance(file, dict)]
    urls = tuple(url for file in files if (url := text(file.get("mediauri"))))
    taps = list(_taps(content.get("custom")))
    title = ""
    if not (written or "").strip():
        written = next((tap.label for tap in taps if tap.label), written)
        title = next((found for file in files if (found := text(file.get("title")).strip())), "")
    return Content(written, urls, tuple(tap.payload for tap in taps), title)


def _taps(custom: Any, name: str = "", depth: int = 0) -> Iterator[Tap]:
    """Yield the objects with a payload in a `custom` object, wherever they are: CM's own suggestions, and WhatsApp's
    buttons (`payload`) and replies to lists and buttons (`id`)."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(custom, list):
        for each in custom:
            yield from _taps(each, name, depth + 1)
    elif isinstance(custom, dict):
        fields = _lowered(custom)
        payload = _first(fields, (*_PAYLOADS, "id") if name.endswith("_reply") else _PAYLOADS)
        if payload:
            yield Tap(payload, _first(fields, _LABELS))
        for field, value in fields.items():
            yield from _taps(value, field, depth + 1)


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the first text that is not blank, of the fields with these names."""
    return next((found for name in names if (found := text(fields.get(name)).strip())), "")


def _made_id(*parts: str | None) -> str:
    """Make an id where CM provides none: the same parts give the same id."""
    return "cm-" + derived_id(*("" if part is None else part for part in parts)).removeprefix("evt_")


def _named_as_json(form: Mapping[str, Any]) -> dict[str, Any]:
    def first(names: tuple[str, ...]) -> str:
        return next((value for name in names if (value := _field(form.get(name)))), text(form.get(names[0])))

    status = {field: first(names) for field, names in _FORM_STATUS.items()}
    return {"status": status, **{field: first(names) for field, names in _FORM.items()}}


def _folded(value: Any) -> dict[str, Any]:
    """Return an object, or the pairs of a form, with lower-case names."""
    if not isinstance(value, dict | tuple):
        raise BadItem("wrong_type", "the item is not an object")
    pairs: Iterable[tuple[str, Any]] = value.items() if isinstance(value, dict) else value
    return unambiguous(((name.lower(), each) for name, each in pairs), _DECIDING_FIELDS)


def _lowered(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one for anything else, with lower-case names; of repeated ones the last counts."""
    return {name.lower(): each for name, each in mapping(value).items()}


def _filled(written: str) -> bool:
    return bool(written) and not _placeholder(written)


def _field(value: Any) -> str:
    """Return a text without surrounding spaces; "" if it is still a placeholder of the template."""
    written = text(value).strip()
    return written if _filled(written) else ""


def _written(value: Any) -> str:
    """Return a number given as text, or as the `number` of an object."""
    return text(_folded(value).get("number") if isinstance(value, dict) else value).strip()


def _dialed(written: str) -> str:
    """Return a number with a plus for its 00."""
    # CM writes 00 instead of a plus, which would cost to_number ten times as long.
    return "+" + written[2:] if written.startswith("00") and written.isascii() and written.isdigit() else written


def _millis(written: str) -> int | None:
    millis = iso_millis(written)
    # .NET writes the year 1 for a missing time.
    return None if millis is None or millis < 0 else millis


def _posts(callback: RawCallback) -> list[Post]:
    if callback.method != "GET" and callback.body.strip():
        if is_xml(callback):
            return _xml_posts(xml.root_of(callback))
        if is_json(callback):
            return _json_posts(json_value(callback))
    # A placeholder such as %DATETIME_S% looks like an escaped byte; a strict reader would lose the report.
    form = read_form(callback)
    return [Post("", form.raw, tuple(form.pairs), is_form=True)]


def _json_posts(value: Any) -> list[Post]:
    if not isinstance(value, dict):
        raise Unreadable("missing_field", "the body is not an object with messages or a reply")
    messages = _find(value, "messages")
    if messages is None:
        return [Post("", json_text(value), value)]
    msg = _find(messages, "msg") if isinstance(messages, dict) else None
    if isinstance(msg, list):
        return [Post(f"messages.msg[{n}].", json_text(each), each) for n, each in enumerate(bounded(msg))]
    if msg is None:
        raise Unreadable("missing_field", "messages.msg is missing")
    return [Post("messages.msg.", json_text(msg), msg)]


def _find(value: Mapping[str, Any], name: str) -> Any:
    return next((each for key, each in value.items() if key.lower() == name), None)


def _xml_posts(root: Element) -> list[Post]:
    if root.tag.lower() != "messages":
        return [_xml_post("messages.msg." if root.tag.lower() == "msg" else "", root)]
    found = [element for element in root if element.tag.lower() == "msg"]
    if not found:
        raise Unreadable("missing_field", "MESSAGES has no MSG")
    return [_xml_post(f"messages.msg[{n}].", element) for n, element in enumerate(bounded(found))]


def _xml_post(where: str, element: Element) -> Post:
    pairs = (*element.attrib.items(), *((child.tag, xml.value_of(child)) for child in element))
    return Post(where, xml.text_of(element), pairs)
