"""CM.com: status reports and inbound messages, as a rule one a request.

https://developers.cm.com/messaging/docs/incoming-status-report: JSON or XML that CM fills into a text template.
Accounts of long standing have a URL template instead, which comes as a GET or as form fields.
https://developers.cm.com/messaging/docs/incoming-messages, and the old, flat form of these:
https://docs.cmtelecom.com/en/api/mo-webhooks/1.0/index/.
CM has no id of its own for a message. A report names the sender's `reference`, and so that is the message id here:
a sender that wants its reports matched sets one. Names of fields come in any case. What each status code means
here stands in `data/cm.json`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_plus
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers import expat

import orjson

from providers.base import Answer, CallbackRequest, Item, Malformed, NotAuthentic, Unreadable
from providers.jsons import loads
from providers.numbers import NotANumber, to_number, to_sender
from providers.times import iso_millis
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt


class Cm:
    """Provider `cm`."""

    name = "cm"
    methods = frozenset({"POST", "GET"})
    behind_path_secret = False

    def verify(self, request: CallbackRequest, credentials: Mapping[str, str]) -> None:
        """`secret`, percent-encoded in the query of the URL that CM was given: `?account=ID&secret=...`.

        CM signs nothing. Without a secret in the account everything passes. Codes: `missing_secret`, `wrong_secret`.
        """
        secret = credentials.get("secret")
        if not secret:
            return
        given = [value for name, value in _pairs(request.query) if name == _SECRET]
        if not given:
            raise NotAuthentic("missing_secret", "the URL has no secret")
        if len(given) > 1 or not hmac.compare_digest(_bytes(given[0]), _bytes(secret)):
            raise NotAuthentic("wrong_secret", "the secret in the URL does not match")

    def read(self, callback: RawCallback) -> list[Item]:
        """A post with `status` is a report; one with `from` and a message, a body or a time is a reply.

        A report without reference gets an id made of recipient, time and code: it says something about the
        contact, though not about a known message. A reply never has an id and gets one of numbers, time and
        content, so that a post that is repeated is one reply; without a time, as in the old form, it has none,
        for the same word may be sent again. A time without a zone is UTC.
        """
        return [_read_item(callback, index, post) for index, post in enumerate(_posts(callback))]

    def answer(self, request: CallbackRequest) -> Answer:
        """An empty body. CM repeats an inbound message for a month unless the status is 200."""
        return Answer()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status code means here."""

    status: str
    detail: str
    status_class: str
    final: bool


@dataclass(frozen=True, slots=True)
class Post:
    """One report or reply. `where` leads the names of its fields in errors; it is "" for what came alone."""

    where: str
    raw: str
    value: Any
    is_form: bool = False


_DATA = orjson.loads(resources.files(__package__).joinpath("data/cm.json").read_bytes())
_MEANINGS: Mapping[str, Meaning] = {
    row["code"]: Meaning(row["status"], row["detail"], row["class"], row["final"]) for row in _DATA["statuses"]
}
_FORM: Mapping[str, tuple[str, ...]] = {
    "to": ("gsm", "to"),
    "reference": ("reference",),
    "received": ("created_s", "datetime_s", "time"),
    "operator": ("operator",),
}
"""Fields of a report as JSON names them -> names in a form, the first that has a value."""
_FORM_STATUS: Mapping[str, tuple[str, ...]] = {
    "code": ("status",),
    "errorcode": ("statusdescription", "errorcode"),
    "errordescription": ("standarderrortext", "externalstatusdescription"),
}
_SHOWN_IN_FORM: Mapping[str, str] = {"to": "GSM", "reference": "REFERENCE", "status.code": "STATUS"}
_DECIDING_FIELDS = frozenset(
    {
        *(name for names in (*_FORM.values(), *_FORM_STATUS.values()) for name in names),
        *("received", "code", "from", "number", "message", "text", "body", "timeutc"),
    }
)
_REPLY_FIELDS = ("message", "body", "timeutc")
_SECRET = "secret"  # noqa: S105
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_placeholder = re.compile(r"\[[A-Z_][A-Z0-9_]*\]|%[A-Z_][A-Z0-9_]*%", re.I | re.A).fullmatch
_XML_ENCODINGS = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii", "windows-1252"})
MAX_XML_DEPTH = 8
"""Levels of elements. CM's own template has four."""


class _Bad(Exception):
    """One item that cannot be read."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


def _read_item(callback: RawCallback, index: int, post: Post) -> Item:
    try:
        fields = _folded(post.value)
        if fields.get("status") is not None:
            return _report(callback, index, _named_as_json(fields) if post.is_form else fields, post)
        if fields.get("from") is not None and any(fields.get(name) is not None for name in _REPLY_FIELDS):
            return _reply(callback, index, fields, post)
        raise _missing_status(post)
    except _Bad as bad:
        return Malformed(bad.reason, str(bad), post.raw)


def _report(callback: RawCallback, index: int, fields: Mapping[str, Any], post: Post) -> Receipt:
    status = fields["status"]
    outcome = _folded(status) if isinstance(status, dict) else {"code": status}
    to, code = _number(fields.get("to")), _text(outcome.get("code")).strip()
    if _placeholder(to) and _placeholder(code):
        names = f"{_shown(post, 'to')} and {_shown(post, 'status.code')}"
        raise _Bad("unfilled_template", f"{names} are placeholders: CM's template was posted unfilled")
    if not _filled(code):
        raise _Bad("missing_field", f"{_shown(post, 'status.code')} is missing")
    meaning = _MEANINGS.get(code)
    if meaning is None:
        raise _Bad("unknown_status", f"{_shown(post, 'status.code')} is unknown: {code[:40]!r}")
    try:
        number = to_number(to) if _filled(to) else None
    except NotANumber:
        raise _Bad("invalid_number", f"{_shown(post, 'to')} is not a phone number") from None
    reference = _field(fields.get("reference"))
    if not reference and number is None:
        names = f"{_shown(post, 'reference')} is missing, and so is {_shown(post, 'to')}"
        raise _Bad("missing_field", f"{names}: nothing says which message or whose")
    event_id = derived_id(callback.event_id, index)
    received = _field(fields.get("received"))
    occurred_at = _millis(received)
    return Receipt(
        event_id=event_id,
        account=callback.account,
        provider=callback.provider,
        # Without a time two reports cannot be told from one that is repeated; both count.
        provider_message_id=reference or _made_id(number, event_id if occurred_at is None else received, code),
        sender_reference=reference or None,
        to=number,
        status=meaning.status,
        status_detail=meaning.detail,
        status_class=meaning.status_class,
        provider_status=code,
        provider_code=_field(outcome.get("errorcode")) or None,
        provider_text=_field(outcome.get("errordescription")) or None,
        final=meaning.final,
        occurred_at=occurred_at,
        received_at=callback.received_at,
        network=_field(fields.get("operator")) or None,
        raw=post.raw,
    )


def _reply(callback: RawCallback, index: int, fields: Mapping[str, Any], post: Post) -> InboundMessage:
    if "webhooktoken" in fields:
        raise Unreadable("not_supported", "the body is a copy of a sent message, of CM's MT webhook")
    written_from = _number(fields["from"])
    if _placeholder(written_from):
        raise _Bad("unfilled_template", f"{post.where}from is a placeholder: CM's template was posted unfilled")
    sender, to = to_sender(written_from), to_sender(_field(_number(fields.get("to")))) or None
    if not sender:
        raise _Bad("missing_field", f"{post.where}from has no number")
    text, media = _content(fields)
    time = _field(fields.get("timeutc"))
    occurred_at = _millis(time)
    return InboundMessage(
        event_id=derived_id(callback.event_id, index),
        account=callback.account,
        provider=callback.provider,
        provider_message_id=None if occurred_at is None else _made_id(sender, to, time, text, *media),
        in_reply_to=_field(fields.get("reference")) or None,
        from_=sender,
        to=to,
        text=text,
        media=media,
        occurred_at=occurred_at,
        received_at=callback.received_at,
        raw=post.raw,
    )


def _content(fields: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Text and media URLs. A contact or a location has an empty text, and stays in the raw item only."""
    message = fields.get("message")
    content = _folded(message) if isinstance(message, dict) else {"text": message}
    text = content.get("text")
    text = fields.get("body") if text is None else text
    media = content.get("media")
    files = media if isinstance(media, list) else [media]
    urls = tuple(url for file in files if isinstance(file, dict) and (url := _text(_folded(file).get("mediauri"))))
    return None if text is None else _text(text), urls


def _made_id(*parts: str | None) -> str:
    """An id for what CM gives none, the same for the same parts."""
    return "cm-" + derived_id(*("" if part is None else part for part in parts)).removeprefix("evt_")


def _missing_status(post: Post) -> Exception:
    text = f"{_shown(post, 'status')} is missing, and the item is no reply either"
    return _Bad("missing_field", text) if post.where else Unreadable("missing_field", text)


def _shown(post: Post, field: str) -> str:
    return _SHOWN_IN_FORM.get(field, field.upper()) if post.is_form else post.where + field


def _named_as_json(form: Mapping[str, Any]) -> dict[str, Any]:
    def first(names: tuple[str, ...]) -> str:
        return next((value for name in names if (value := _field(form.get(name)))), _text(form.get(names[0])))

    status = {field: first(names) for field, names in _FORM_STATUS.items()}
    return {"status": status, **{field: first(names) for field, names in _FORM.items()}}


def _folded(value: Any) -> dict[str, Any]:
    """An object, or the pairs of a form, with names in lower case.

    Raises when a field that decides something has two different values: neither may be preferred.
    """
    if not isinstance(value, dict | tuple):
        raise _Bad("wrong_type", "the item is not an object")
    pairs: Iterable[tuple[str, Any]] = value.items() if isinstance(value, dict) else value
    fields: dict[str, Any] = {}
    for name, each in pairs:
        key = name.lower()
        if key in fields and key in _DECIDING_FIELDS and fields[key] != each:
            raise _Bad("ambiguous_field", f"{key} is given twice with different values")
        fields[key] = each
    return fields


def _text(value: Any) -> str:
    """A string as it is, an integer as its digits, "" for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _filled(text: str) -> bool:
    return bool(text) and not _placeholder(text)


def _field(value: Any) -> str:
    """A text without spaces around it; "" where it is still a placeholder of the template."""
    text = _text(value).strip()
    return text if _filled(text) else ""


def _number(value: Any) -> str:
    """A number as text, or as the `number` of an object."""
    text = _text(_folded(value).get("number") if isinstance(value, dict) else value).strip()
    # CM writes 00 where others write a plus, and to_number takes ten times as long to find that out.
    return "+" + text[2:] if text.startswith("00") and text.isascii() and text.isdigit() else text


def _millis(text: str) -> int | None:
    millis = iso_millis(text)
    # .NET writes the year 1 where it has no time.
    return None if millis is None or millis < 0 else millis


# How posts come


def _posts(callback: RawCallback) -> list[Post]:
    """The body decides what it is, its content type only where it does not show: templates are sent as any type."""
    body = callback.body.removeprefix(_BYTE_ORDER_MARK)
    head = body.lstrip()[:1]
    if callback.method == "GET" or not head:
        return _form_posts(callback.query)
    content_type = (callback.content_type or "").lower()
    if head == b"<" or "xml" in content_type:
        return _xml_posts(body)
    if head in b"{[" or "json" in content_type:
        return _json_posts(body)
    # A placeholder such as %DATETIME_S% looks like an escaped byte: a strict reading would lose the report.
    return _form_posts(body.decode("utf-8", "replace"))


def _form_posts(form: str) -> list[Post]:
    raw = "&".join(part for part in form.split("&") if unquote_plus(part.partition("=")[0]).lower() != _SECRET)
    return [Post("", raw, tuple(_pairs(raw)), is_form=True)]


def _pairs(form: str) -> list[tuple[str, str]]:
    return parse_qsl(form, keep_blank_values=True, errors="replace")


def _json_posts(body: bytes) -> list[Post]:
    value = loads(body)
    raw = _dumps(value)
    if not isinstance(value, dict):
        raise Unreadable("missing_field", "the body is not an object with messages or a reply")
    messages = _find(value, "messages")
    if messages is None:
        return [Post("", raw, value)]
    msg = _find(messages, "msg") if isinstance(messages, dict) else None
    if isinstance(msg, list):
        return [Post(f"messages.msg[{index}].", _dumps(each), each) for index, each in enumerate(msg)]
    if msg is None:
        raise Unreadable("missing_field", "messages.msg is missing")
    return [Post("messages.msg.", _dumps(msg), msg)]


def _find(value: Mapping[str, Any], name: str) -> Any:
    return next((each for key, each in value.items() if key.lower() == name), None)


def _xml_posts(body: bytes) -> list[Post]:
    root = _parse_xml(body)
    if root.tag.lower() != "messages":
        return [_xml_post("messages.msg." if root.tag.lower() == "msg" else "", root)]
    found = [element for element in root if element.tag.lower() == "msg"]
    if not found:
        raise Unreadable("missing_field", "MESSAGES has no MSG")
    return [_xml_post(f"messages.msg[{index}].", element) for index, element in enumerate(found)]


def _xml_post(where: str, element: Element) -> Post:
    element.tail = None
    pairs = (*element.attrib.items(), *((child.tag, _xml_value(child)) for child in element))
    return Post(where, tostring(element, encoding="unicode"), pairs)


def _xml_value(element: Element) -> Any:
    return {child.tag: _xml_value(child) for child in element} if len(element) else element.text or ""


def _parse_xml(body: bytes) -> Element:
    """The root element. A DTD is refused, and with it every entity that a body could declare."""
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_XML_DEPTH:
            raise Unreadable("not_xml", f"the body has more than {MAX_XML_DEPTH} levels of elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        # The parser would look up any codec of Python that a body names.
        if encoding is not None and encoding.lower() not in _XML_ENCODINGS:
            raise Unreadable("not_xml", f"the body is written in {encoding[:40]!r}, which is not read")

    def refuse(*_: object) -> NoReturn:
        raise Unreadable("not_xml", "the body has a document type declaration, which is not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.XmlDeclHandler = declared
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(body, True)
        return builder.close()
    except (expat.ExpatError, ValueError) as error:
        raise Unreadable("not_xml", f"the body is not XML: {error}") from None


def _dumps(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # orjson reads 1024 levels but writes only 254.
        raise Unreadable("not_json", "the body is nested too deeply") from None


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
